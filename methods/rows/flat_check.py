"""A check of what is claimed about the residual of a Hessian: that v^T R v = 0 inside each group of parameters."""

from __future__ import annotations

from typing import Final

import torch

from hessbench.operator_parts import Sampled
from hessbench.operator_protocol import LinearOperator
from hessbench.operator_structure import Structure

_WIDTH: Final = 16
"""Groups that are looked at in one call."""

_ROUNDING: Final = 100.0
"""Times eps of |v| |R v|, up to which v^T R v is rounding."""


def check_flat(residual: LinearOperator, structure: Structure, num_samples: int, generator: torch.Generator) -> None:
    """Compare v^T R v with rounding for a normal v inside each flat group, R that of one random sample.

    A group of n_g parameters of which the claim is wrong has v^T R v of about 2^(1/2) ||R_gg||_F and |v| |R v| of about
    n_g^(1/2) ||R_:g||_F: what is looked for is far above the 100 eps that are allowed.

    Args:
        residual: R, a sum over samples.
        structure: What is claimed.
        num_samples: Number N of samples.
        generator: Draws the sample and v.

    Cost:
        One product of R over one sample for each group, in calls of width 16.

    Raises:
        ValueError: If the claim is wrong for a group.
    """
    groups = structure.groups
    if not groups:
        return
    assert isinstance(residual, Sampled)
    sample = torch.randint(num_samples, (1,), generator=generator, device=generator.device)
    part = residual.subset(sample)
    eps = torch.finfo(residual.dtype).eps
    for first in range(0, len(groups), _WIDTH):
        block = groups[first : first + _WIDTH]
        V = torch.zeros(residual.dim, len(block), dtype=residual.dtype, device=residual.device)
        for place, (start, stop) in enumerate(block):
            V[start:stop, place].normal_(generator=generator)
        images = part.matmat(V)
        forms = (V.double() * images.double()).sum(dim=0).abs()
        sizes = torch.linalg.vector_norm(V, dim=0).double() * torch.linalg.vector_norm(images, dim=0).double()
        broken = ~(forms <= _ROUNDING * eps * sizes)
        if bool(broken.any()):
            place = int(broken.double().argmax())
            start, stop = block[place]
            raise ValueError(
                f"structure must hold, but v^T R v = {forms[place]:.3g} of |v| |R v| = {sizes[place]:.3g} "
                f"for a v on the parameters {start} to {stop - 1}, where it claims 0"
            )

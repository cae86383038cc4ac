"""skerch's sketches on the counted operator, which it takes as it is: it multiplies from both sides."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import torch

from hessbench.counting import CountingOperator
from hessbench.distributions import library
from hessbench.estimand import Diagonal, Estimate, TopEigenvalues, Trace
from hessbench.method import Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.peers.calling import called

Recovery: TypeAlias = Literal["hmt", "nystrom", "singlepass", "oversampled"]
Noise: TypeAlias = Literal["rademacher", "gaussian", "ssrft"]

_PARTS: Final = {"hmt": 2, "oversampled": 3}
"""Into how many parts products are divided, of which one is the width; 1 where it is not named."""

_CITATION: Final = (
    "Fernandez, skerch: Sketched matrix decompositions for PyTorch, TMLR (2025), arXiv:2504.14701, "
    "https://github.com/andres-fr/skerch"
)
_MODULES: Final = ("skerch.algorithms",)


def seigh(
    op: CountingOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    recovery: Recovery = "hmt",
    noise: Noise = "rademacher",
    k: int | None = None,
) -> Estimate:
    """The `seigh` of skerch, a sketched eigendecomposition, by default with sign probes.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products.
        generator: Source of its seed.
        recovery: `hmt` (its default) multiplies with the orthogonalised sketch too; `nystrom` and `singlepass` make one
            pass; `oversampled` makes an inner sketch of twice the width beside.
        noise: Probes: `rademacher`, its default, `gaussian` or `ssrft`, a subsampled Fourier transform.
        k: Number of eigenvalues, by magnitude; all it has are handed back.

    Returns:
        Eigenvalues, as many as the sketch is wide.

    Cost:
        `hmt`: twice its width of num_matvecs // 2, in two calls; `oversampled`: its width of num_matvecs // 3, and what
        is left, in two calls; the others their width, in one call.

    Raises:
        ValueError: If the sketch would be narrower than k.

    Source:
        Fernandez, skerch (2025), arXiv:2504.14701.
    """
    check_at_least("num_matvecs", num_matvecs, _least_seigh(op.dim, recovery=recovery, k=k))
    width = min(num_matvecs // _PARTS.get(recovery, 1), op.dim)
    inner = min(num_matvecs - width, op.dim)
    asked = f"oversampled_{inner}" if recovery == "oversampled" else recovery
    with called(generator) as seed:
        values, _ = library("skerch.algorithms").seigh(
            op, op.device, op.dtype, width, seed=seed, noise_type=noise, recovery_type=asked
        )
    said = {"asked": f"seigh(outer_dims={width}, noise_type={noise}, recovery_type={asked})", "asked_matvecs": width}
    return Estimate(values.detach(), diagnostics={**said, "reported": "no count"})


def hutch(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator) -> Estimate:
    """The `hutch` of skerch: trace and diagonal by sign probes from the left.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Products.
        generator: Source of its seed.

    Returns:
        The trace, and in `also` the diagonal (n,).

    Cost:
        num_matvecs products in one call.

    Source:
        Fernandez, skerch (2025), arXiv:2504.14701.
    """
    with called(generator) as seed:
        found = library("skerch.algorithms").hutch(op, op.device, op.dtype, num_meas=num_matvecs, seed=seed)
    return _both(found, f"hutch(num_meas={num_matvecs})", num_matvecs)


def xhutchpp(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator, extra: float = 0.0) -> Estimate:
    """The `xhutchpp` of skerch: XTrace and XDiag from one sketch, with plain probes of what is left beside.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least 4.
        generator: Source of its seed.
        extra: Share of the products that are plain probes (`gh_meas`), from 0, its default, below 1.

    Returns:
        The trace, and in `also` the diagonal (n,).

    Cost:
        Twice the width of the sketch and once the plain probes.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Fernandez, skerch (2025), arXiv:2504.14701; Epperly, Tropp and Webber (2024), arXiv:2301.07825.
    """
    check_at_least("num_matvecs", num_matvecs, 4)
    if not 0 <= extra < 1:
        raise ValueError(f"extra must be at least 0 and below 1, got {extra}")
    plain = int(extra * num_matvecs)
    width = min((num_matvecs - plain) // 2, op.dim)
    check_at_least("num_matvecs less its plain probes", width, 1)
    with called(generator) as seed:
        found = library("skerch.algorithms").xhutchpp(op, op.device, op.dtype, x_dims=width, gh_meas=plain, seed=seed)
    return _both(found, f"xhutchpp(x_dims={width}, gh_meas={plain})", width + plain)


def _both(found: Any, asked: str, matvecs: int) -> Estimate:
    said = {"asked": asked, "asked_matvecs": matvecs, "reported": "no count"}
    return Estimate(float(found["tr"]), diagnostics=said, also={Diagonal: Estimate(found["diag"], diagnostics=said)})


def _least_seigh(dim: int, *, recovery: Recovery, k: int | None, **_: object) -> int:
    return _PARTS.get(recovery, 1) * max(4, min(k or 10, dim))


SKERCH_SEIGH = Method(
    name="skerch-seigh",
    run=seigh,
    estimands=(TopEigenvalues,),
    citation=_CITATION,
    version="1",
    min_matvecs=_least_seigh,
    presets=("skerch-seigh", "skerch-seigh[recovery=nystrom]", "skerch-seigh[recovery=singlepass]"),
    library="skerch",
    modules=_MODULES,
)
SKERCH_HUTCH = Method(
    name="skerch-hutch",
    run=hutch,
    estimands=(Trace, Diagonal),
    citation=_CITATION,
    version="1",
    library="skerch",
    modules=_MODULES,
)
SKERCH_XHUTCHPP = Method(
    name="skerch-xhutchpp",
    run=xhutchpp,
    estimands=(Trace, Diagonal),
    citation=_CITATION,
    version="1",
    min_matvecs=4,
    presets=("skerch-xhutchpp", "skerch-xhutchpp[extra=0.34]"),
    library="skerch",
    modules=_MODULES,
)

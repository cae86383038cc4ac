"""Which references a curvature matrix of a network has: the most exact ones that its size affords."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final

import numpy as np
import torch

from hessbench.estimand import Array, Density, Diagonal, Estimand, Reference, Solve, Source, TopEigenvalues, Trace
from hessbench.estimand.base import EPS
from hessbench.estimand.from_dense import DENSE_LIMIT, References, dense_references
from hessbench.estimand.work import OwnWork, has_own_work
from hessbench.flops import counting_flops
from hessbench.operators import LinearOperator
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.curvature.engines.output_rounding import rounding_size
from hessbench.problems.curvature.matrices import exact_operator, is_psd
from hessbench.problems.curvature.monte_carlo_fisher import fisher_network
from hessbench.problems.networks.network import Network
from hessbench.problems.references.certified import certified_references
from hessbench.problems.references.dense import DENSE
from hessbench.problems.references.factor_diagonal import factor_references
from hessbench.problems.references.gram import (
    GRAM_OPERATORS,
    MEMORY,
    ROW_LIMIT,
    gram_matrix,
    gram_references,
    ntk_matrix,
    passes,
)
from hessbench.problems.references.rows import outputs_of, smallest
from hessbench.problems.references.spectrum import Spectrum, shifted_references, spectrum_references
from hessbench.problems.references.statistical import statistical_references
from hessbench.problems.references.woodbury import row_passes
from hessbench.problems.references.zero_residual_diagonal import flat_references, is_flat
from hessbench.transforms import shifted

ROUNDING: Final = 10.0
"""Constant c in the rounding c eps ||A|| of a network's products, where a problem does not say."""

KERNELS: Final[dict[str, Callable[[Network], Array]]] = {"ntk": ntk_matrix, "gram": gram_matrix}
"""Matrices whose rows are samples, or samples and outputs."""

TERMS: Final = 10.0
"""The same constant for what cancels: small networks trained to losses down to 1e-8 were seen to need 4 on some
processors, 8.05 on others."""

SAID: Final = 1e-3
"""Part of the norm from which a note says that float32 cannot see it."""

GRAM_FLOPS: Final = 1e14
"""Most floating-point operations of a Gram matrix: about an hour on one core."""


def references_of(
    make: Callable[[], Network],
    choice: MatrixChoice,
    dim: int,
    *,
    name: str = "",
    rounding: float = ROUNDING,
    slopes: Callable[[], Network] | None = None,
) -> References:
    """References of a curvature matrix.

    Where terms cancel in the products, as in those of a network that fits its data, the rounding is that of the terms,
    and the note says what float32 cannot see.

    Dense up to dimension 4096; the NTK and the Gram matrix up to 10^4. Beyond, the Gram matrix for a GGN whose loss has
    a root, for a Monte-Carlo Fisher matrix, and for the second moment and the covariance of gradients, while it has at
    most 10^4 rows and takes about an hour at most; damped systems have their solution by it too. Else, as for every
    large Hessian and residual, certified top eigenvalues, and statistical traces and densities. A diagonal is given
    where it is exact: for a GGN by the rows of its factor, its trace with it; for a Hessian where every output of the
    network is affine in each parameter alone, so that its diagonal and its trace are the GGN's.

    Args:
        make: Makes the network; called when a reference is asked for.
        choice: Which matrix of it.
        dim: Dimension of the matrix.
        name: Problem the random numbers are seeded from.
        rounding: Constant c in the rounding c eps ||A|| of the operator that is compared with these references.
        slopes: Makes the network whose gradients are right-hand sides of systems; the same by default.

    Raises:
        ValueError: If the operator is not known.
    """
    operator = choice.operator
    if operator not in DENSE:
        raise ValueError(f"operator must be one of {', '.join(DENSE)}, got {operator!r}")
    if operator == "monte-carlo-fisher":
        # Its draws made, it is the GGN of another network, in float64 so that the slopes are not rounded.
        return references_of(
            lambda: fisher_network(make().to(torch.device("cpu"), torch.float64), choice.mc_samples, choice.seed),
            replace(choice, operator="ggn"),
            dim,
            name=name,
            rounding=rounding,
            slopes=slopes or make,  # of the loss at the targets of the data, not at those drawn
        )
    found = _references(make, operator, dim, name, rounding, choice.weight_decay, slopes or make)

    @cache
    def size(norm: float) -> float:
        return rounding_size(make().to(torch.device("cpu"), torch.float64), operator, norm)

    return {
        kind: OwnWork(partial(_with_rounding, find, rounding, size), partial(has_own_work, find))
        for kind, find in found.items()
    }


def _references(
    make: Callable[[], Network],
    operator: str,
    dim: int,
    name: str,
    constant: float,
    shift: float,
    slopes: Callable[[], Network],
) -> References:
    if dim <= DENSE_LIMIT:
        return dense_references(lambda: DENSE[operator](make()) + shift * np.eye(dim), slopes)
    if operator == "ntk" and dim <= ROW_LIMIT:
        return spectrum_references(lambda: kernel_spectrum(make()), Source.DENSE, constant)

    def build() -> LinearOperator:
        return shifted(exact_operator(make().to(torch.device("cpu"), torch.float64), operator), shift)

    @cache
    def chosen() -> References:
        network = make()
        if operator in GRAM_OPERATORS and gram_is_affordable(network, operator):
            found = shifted_references(gram_references(make, constant, operator, slopes=slopes), shift, dim)
            solves = gram_is_affordable(network, operator, solves=True)
            return found if solves else {kind: find for kind, find in found.items() if kind is not Solve}
        if operator == "gram" and gram_is_affordable(network, operator):
            return spectrum_references(lambda: kernel_spectrum(network, operator), Source.DENSE, constant)
        found = {
            **certified_references(build, constant, name),
            **statistical_references(build, constant, name, psd=is_psd(network.loss, operator)),
        }
        if operator == "ggn" and factor_is_affordable(network):
            return {**found, **factor_references(make, constant, shift)}
        if operator == "hessian" and factor_is_affordable(network) and is_flat(network, name):
            return {**found, **flat_references(make, build, constant, name, shift)}
        return found

    def of(kind: type[Estimand]) -> Callable[[Any], Reference]:
        def find(estimand: Estimand) -> Reference:
            if kind not in chosen():
                raise ValueError(f"no exact {kind.key} of the {operator} is affordable at dimension {dim} on this data")
            return chosen()[kind](estimand)

        return OwnWork(find, lambda estimand: has_own_work(chosen().get(kind), estimand))

    kinds: list[type[Estimand]] = [TopEigenvalues, Trace, Density]
    if operator in ("hessian", *GRAM_OPERATORS, "gram"):
        kinds.append(Diagonal)
    if operator in GRAM_OPERATORS:
        kinds.append(Solve)
    return {kind: of(kind) for kind in kinds}


def factor_is_affordable(network: Network) -> bool:
    """Whether the rows of the GGN's factor exist, four of them fit into memory, and all take at most 10^14 operations.

    Unlike a Gram matrix, a sum of their squares has no bound to the number of rows.
    """
    if network.loss.root is None or 32 * network.parameters.numel() > MEMORY:
        return False
    rows, work = _rows_and_work(network, "ggn")
    return rows * work <= GRAM_FLOPS


def gram_is_affordable(network: Network, operator: str, *, solves: bool = False) -> bool:
    """Whether a Gram matrix exists, has at most 10^4 rows, and takes at most 10^14 operations with the default memory.

    Counted, not timed, so that the choice is the same on every machine.

    Args:
        network: The network.
        operator: Which matrix.
        solves: Whether a damped system is solved by it too.
    """
    root = network.loss.root
    if root is None and operator in ("ggn", "gram"):
        return False
    n = network.parameters.numel()
    if 32 * n > MEMORY:
        return False
    rows, work = _rows_and_work(network, operator)
    made, own = passes(rows, n, MEMORY), float(rows**2 * n)
    if solves:
        made, own = made + row_passes(rows, n, MEMORY), own + rows**3
    return rows <= ROW_LIMIT and rows * made * work + own <= GRAM_FLOPS


def _rows_and_work(network: Network, operator: str) -> tuple[int, float]:
    """Number of rows of the factor of an operator, and operations of one."""
    root = network.loss.root
    one = smallest(network)
    outputs = outputs_of(network, one)
    columns = 1
    if root is not None and operator in ("ggn", "gram"):
        S = root(outputs, one.targets)
        columns = S.shape[0] // one.size * min(S.shape[1:])
    parameters = network.parameters.detach().clone().requires_grad_()
    with torch.enable_grad(), counting_flops() as counter:
        torch.autograd.grad(network.forward(parameters, one.inputs).sum(), parameters)
    # A row is written, copied and read as well: some twenty operations an entry.
    return network.num_samples * columns, counter.get_total_flops() + 20 * parameters.numel()


def kernel_spectrum(network: Network, operator: str = "ntk") -> Spectrum:
    """Spectrum and diagonal of an NTK or Gram matrix too large for `dense_references`."""
    K = KERNELS[operator](network)
    eigenvalues = np.maximum(np.linalg.eigvalsh(K), 0.0)
    bound = 2.0**-52 * (K.shape[0] * float(eigenvalues.max()) + network.parameters.numel() ** 0.5 * float(np.trace(K)))
    return Spectrum(eigenvalues, 0, K.diagonal().copy(), bound)


def _with_rounding(
    find: Callable[[Any], Reference], constant: float, size: Callable[[float], float], estimand: Estimand
) -> Reference:
    """A reference with the rounding of the products it is compared with: of the matrix, or of what cancels in it."""
    found = find(estimand)
    if found.norm == 0:
        return replace(found, rounding=constant)
    cancelled = TERMS * size(found.norm)
    if cancelled <= constant * found.norm:
        return replace(found, rounding=constant)
    widened = replace(found, rounding=cancelled / found.norm)
    unseen = widened.rounding * EPS["float32"]
    if unseen < SAID:
        return widened
    said = (
        f"float32 cannot see what is below {unseen:.1e} of the norm: the network fits its data so well that digits "
        "cancel in its products"
    )
    return replace(widened, note=f"{found.note}; {said}" if found.note else said)

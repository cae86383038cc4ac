"""Compute eigenvectors by a method and keep them, whatever their size: no ledger holds them, which keeps up to 1 MB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor

from hessbench.catalog import load_catalog
from hessbench.clock import Stopwatch, wait_for
from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.demand import Demand, demanding
from hessbench.eigenvectors.stored import StoredEigenvectors, write_eigenvectors
from hessbench.estimand import Estimate, TopEigenspace
from hessbench.estimand.base import Array, Which, real_vector
from hessbench.method import BoundMethod, Method
from hessbench.problem import Problem
from hessbench.seeding import cell_seed, make_generator

METHOD: Final = "thick-restart-lanczos"


def keep_eigenvectors(
    problem: Problem | str,
    folder: str | Path,
    *,
    k: int,
    num_matvecs: int,
    method: Method | str = METHOD,
    which: Which = "magnitude",
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    repeat: int = 0,
) -> StoredEigenvectors:
    """The first k eigenvectors of a problem, computed and kept on disk, memory-mapped, without a limit of size.

    They are checked by one product each, charged within the budget: `facts` holds the residual |A u - theta u| of each,
    the Rayleigh quotient theta = u^T A u being its eigenvalue, as well as what was spent. The start is that of cells of
    `top-eigenspace`, so the same for every method.

    Args:
        problem: A problem, such as `from_model(...)`, or the spec of a registered one.
        folder: Where they are kept; see `write_eigenvectors`.
        k: How many, 1 to n.
        num_matvecs: Products in all, the k of the check among them.
        method: A method that gives eigenvectors one by one (`Estimate.vectors`), or the spec of a registered one.
        which: Order of the eigenvalues: magnitude, algebraic or smallest.
        device: cpu or cuda.
        dtype: float32 or float64, of the operator and of the file.
        repeat: Number of the repeat, from 0: draws the start.

    Returns:
        What is kept; `vectors` (n, k) is read from disk as it is needed.

    Cost: num_matvecs products at most; memory of the method, which holds its basis, and one column more.

    Raises:
        ValueError: If an argument is not accepted, the budget is too small, or the method gives no eigenvectors.
        OSError: If the folder cannot be written.
    """
    catalog = load_catalog() if isinstance(problem, str) or isinstance(method, str) else None
    chosen = catalog.problem(problem) if isinstance(problem, str) and catalog else cast("Problem", problem)
    estimand = TopEigenspace(k, which)
    estimand.check(chosen.dim)
    if isinstance(method, str) and catalog:
        bound = catalog.method(method, estimand)
    else:
        own = cast("Method", method)
        bound = own.bind(own.name, estimand)
    bound = bound.on(chosen)
    reason = bound.skip_reason(chosen)
    least = bound.min_matvecs(chosen.dim) + k
    if reason or num_matvecs < least:
        raise ValueError(reason or f"num_matvecs must be at least {least} for {bound.spec}, got {num_matvecs}")
    with demanding(Demand(num_matvecs, None)):
        op = CountingOperator(chosen.build(torch.device(device), dtype), num_matvecs)
    watch = Stopwatch()
    watch.start()
    generator = make_generator(cell_seed(chosen.name, estimand.spec, repeat), op.device)
    found = _last(bound, op, num_matvecs - k, generator)
    vectors = found.vectors
    if vectors is None:
        raise ValueError(f"{bound.spec} gives no eigenvectors one by one: a method with Estimate.vectors is accepted")
    quotients, residuals = _checked(op, vectors)
    wait_for(op.device)
    facts = {
        "problem": chosen.name,
        "problem_hash": chosen.hash,
        "method": str(bound.spec),
        "which": which,
        "repeat": repeat,
        "device": device,
        "dtype": str(dtype).removeprefix("torch."),
        "budget": num_matvecs,
        "matvecs": op.matvecs,
        "gradient_equivalents": op.spending.gradient_equivalents,
        "seconds": watch.seconds,
        "converged": None if found.converged is None else bool(found.converged),
        "residuals": residuals.tolist(),
    }
    return write_eigenvectors(folder, vectors, quotients, shapes=chosen.shapes, facts=facts)


def _last(bound: BoundMethod, op: CountingOperator, num_matvecs: int, generator: torch.Generator) -> Estimate:
    """The last estimate of a run, evaluated.

    Raises:
        ValueError: If there is none.
    """
    latest: Estimate | None = None
    with op.spending.at_most(num_matvecs):
        made: Any = bound.run(op, num_matvecs, generator)
        try:
            for estimate in cast("Iterator[Estimate]", made) if bound.method.is_anytime else (made,):
                latest = estimate
        except BudgetExceeded:
            pass  # what was there before stands
        if latest is None:
            raise ValueError(f"{bound.spec} ended without an estimate")
        return latest.resolve()


def _checked(op: CountingOperator, vectors: Tensor) -> tuple[Array, Array]:
    """Rayleigh quotients and norms of the residuals of columns, one product each."""
    quotients, residuals = np.empty(vectors.shape[1]), np.empty(vectors.shape[1])
    for place, column in enumerate(vectors.unbind(dim=1)):
        u = column / column.norm()
        image = op.matmat(u[:, None])[:, 0]
        theta = u @ image
        quotients[place] = real_vector(theta[None], "a quotient")[0]
        residuals[place] = float((image - theta * u).norm())
    return quotients, residuals

"""Medians of the trace's error over many seeds, beside the literal leave-one-out on the same probes: traces.py --help.

    OMP_NUM_THREADS=1 python tests/campaigns/traces.py --seeds 400

Spectra of 1000 eigenvalues in float64, as in the tests of the XTrace authors: flat from 1 to 3, i^-2, 0.7^i, and fifty
ones above 1e-3. Methods that draw signs get a rotated matrix, since signs see a diagonal one exactly.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch

from hessbench.methods.probes import draw_sphere
from hessbench.methods.trace import hutchinson, hutchpp
from hessbench.methods.trace.adaptive_hutchpp import adaptive_hutchpp
from hessbench.methods.trace.xnystrace import xnystrace
from hessbench.methods.trace.xtrace import xtrace
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.seeding import make_generator

N = 1000
SPECTRA = {
    "flat": np.linspace(1.0, 3.0, N),
    "poly": np.arange(1.0, N + 1) ** -2,
    "exp": 0.7 ** np.arange(N),
    "step": np.r_[np.ones(50), np.full(N - 50, 1e-3)],
}
BUDGETS = {"flat": (30, 120), "poly": (30, 120), "exp": (30, 60, 120), "step": (30, 120)}


def literal(values: np.ndarray, probes: np.ndarray) -> float:
    """XTrace as it is defined: for each probe the trace on the range of all others, and its own form outside of it."""
    products = values[:, None] * probes
    found: list[float] = []
    for place in range(probes.shape[1]):
        U, sizes, _ = np.linalg.svd(np.delete(products, place, axis=1), full_matrices=False)
        Q = U[:, sizes > 1e-14 * sizes.max()]
        x = probes[:, place] - Q @ (Q.T @ probes[:, place])
        outside = (N - Q.shape[1]) / (x @ x) * (x * x) @ values
        found.append(float(((Q * Q).T @ values).sum() + outside))
    return float(np.mean(found))


def methods_of(name: str, m: int) -> dict[str, Callable[[torch.Generator], float]]:
    """The estimate of every method by name, from a generator."""
    values = SPECTRA[name]
    diagonal = torch.from_numpy(values)
    op = FunctionOperator(lambda block: diagonal[:, None] * block, N, torch.float64)
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((N, N)))[0]
    A = torch.from_numpy((basis * values) @ basis.T)
    rotated = dense_operator((A + A.T) / 2)
    return {
        "hutchinson": lambda g: list(hutchinson(rotated, num_matvecs=m, generator=g))[-1].resolve().value,
        "hutchpp": lambda g: hutchpp(rotated, num_matvecs=m, generator=g).value,
        "adaptive-hutchpp": lambda g: adaptive_hutchpp(op, num_matvecs=m, generator=g).value,
        "xnystrace": lambda g: xnystrace(op, num_matvecs=m, generator=g).value,
        "xtrace": lambda g: xtrace(op, num_matvecs=m, generator=g).value,
        "literal": lambda g: literal(values, draw_sphere(N, m // 2, op, g).numpy()),
    }


def main() -> None:
    """Print a line for each spectrum, budget and method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--literal", type=int, default=40, help="seeds of the literal form, which takes a second each")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("spectrum,products,method,seeds,median_relative_error")
    for name, values in SPECTRA.items():
        for m in BUDGETS[name]:
            methods = methods_of(name, m)
            rounds = [(method, asked.seeds) for method in methods if method != "literal"]
            for method, seeds in (*rounds, ("xtrace", asked.literal), ("literal", asked.literal)):
                errors = [abs(methods[method](make_generator(k)) - values.sum()) / values.sum() for k in range(seeds)]
                print(f"{name},{m},{method},{seeds},{np.median(errors):.2g}", flush=True)


if __name__ == "__main__":
    main()

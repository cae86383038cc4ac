"""Exact references against 50-digit arithmetic, on small problems: largest error over bound of each path."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mpmath
import torch
from mpmath import mp, mpf

from hessbench.estimand import Diagonal, Estimand, Reference, TopEigenvalues, Trace
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.networks.losses import CROSS_ENTROPY, SQUARED
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.references.choose import references_of
from hessbench.problems.references.gram import gram_references
from hessbench.problems.spectra.closed_forms import SPECTRA
from hessbench.problems.spectra.known_diagonal import PROFILES, correlation_spectrum, diagonal_problem
from hessbench.problems.spectra.synthetic import spectrum_problem
from hessbench.seeding import derive_seed

INPUTS, HIDDEN, CLASSES = 3, 3, 4
DIM = INPUTS * HIDDEN + HIDDEN + CLASSES * HIDDEN
OPERATORS = ("hessian", "ggn", "residual", "gradient-second-moment", "gradient-covariance", "ntk", "gram")
ASKED = (*(TopEigenvalues(5, which) for which in ("magnitude", "algebraic", "smallest")), Trace(), Diagonal())


def forward(parameters: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    W1, b1, W2 = parameters.split([HIDDEN * INPUTS, HIDDEN, CLASSES * HIDDEN])
    return torch.tanh(inputs @ W1.view(HIDDEN, INPUTS).T + b1) @ W2.view(CLASSES, HIDDEN).T


def network(loss_name: str, samples: int, size: float, seed: int) -> Network:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(samples, INPUTS, generator=generator, dtype=torch.float64)
    classes = torch.randint(0, CLASSES, (samples,), generator=generator)
    values = torch.randn(samples, CLASSES, generator=generator, dtype=torch.float64)
    loss, targets = (CROSS_ENTROPY, classes) if loss_name == "cross-entropy" else (SQUARED, values)
    parameters = size * torch.randn(DIM, generator=generator, dtype=torch.float64)
    return Network(forward, parameters, (Batch(inputs, targets),), loss)


def rows_of(made: Network, parameters: list[Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Jacobian (C, n), slope (C, 1) and Hessian (C, C) of the loss of each sample, in the precision that is set."""
    W1, b1, W2 = parameters[: HIDDEN * INPUTS], parameters[HIDDEN * INPUTS :][:HIDDEN], parameters[-CLASSES * HIDDEN :]
    (batch,) = made.batches
    for x, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        a = [mpmath.tanh(sum(W1[h * INPUTS + i] * mpf(x[i]) for i in range(INPUTS)) + b1[h]) for h in range(HIDDEN)]
        f = [sum(W2[c * HIDDEN + h] * a[h] for h in range(HIDDEN)) for c in range(CLASSES)]
        J = mpmath.matrix(CLASSES, DIM)
        for c in range(CLASSES):
            for h in range(HIDDEN):
                back = W2[c * HIDDEN + h] * (1 - a[h] ** 2)
                J[c, HIDDEN * INPUTS + h] = back
                J[c, HIDDEN * INPUTS + HIDDEN + c * HIDDEN + h] = a[h]
                for i in range(INPUTS):
                    J[c, h * INPUTS + i] = back * mpf(x[i])
        if made.loss.name == "cross-entropy":
            total = sum(mpmath.exp(value) for value in f)
            p = mpmath.matrix([mpmath.exp(value) / total for value in f])
            yield J, p - mpmath.matrix([int(c == target) for c in range(CLASSES)]), mpmath.diag(list(p)) - p * p.T
        else:
            weight = mpf(1)
            slope = mpmath.matrix([weight * (f[c] - mpf(target[c])) for c in range(CLASSES)])
            yield J, slope, weight * mpmath.eye(CLASSES)


def matrix_of(made: Network, operator: str) -> Any:
    """The matrix in 50 digits: the Hessian by differences of the gradient, 25 digits a step."""
    here = [mpf(value) for value in made.parameters.tolist()]
    scale = mpf(made.scale) if made.scale in (1.0, 0.5, 0.25, 0.125) else mpf(1) / made.num_samples
    parts = list(rows_of(made, here))
    ggn = mpmath.matrix(DIM, DIM)
    for J, _, H in parts:
        ggn += J.T * H * J * scale
    if operator == "ggn":
        return ggn
    if operator in ("hessian", "residual"):
        H, step = mpmath.matrix(DIM, DIM), mpf(10) ** -25
        for j in range(DIM):
            sides = []
            for sign in (1, -1):
                moved = [value + sign * step * (i == j) for i, value in enumerate(here)]
                gradient = mpmath.matrix(DIM, 1)
                for J, slope, _ in rows_of(made, moved):
                    gradient += J.T * slope * scale
                sides.append(gradient)
            H[:, j] = (sides[0] - sides[1]) / (2 * step)
        H = (H + H.T) / 2
        return H if operator == "hessian" else H - ggn
    if operator in ("gradient-second-moment", "gradient-covariance"):
        gradients = [J.T * slope for J, slope, _ in parts]
        mean = mpmath.matrix(DIM, 1)
        if operator == "gradient-covariance":
            for g in gradients:
                mean += g / len(gradients)
        M = mpmath.matrix(DIM, DIM)
        for g in gradients:
            M += (g - mean) * (g - mean).T * scale
        return M
    N = len(parts)
    K = mpmath.matrix(N, N)
    for i in range(N):
        for j in range(N):
            product = parts[i][0] * parts[j][0].T
            K[i, j] = sum(product[c, c] for c in range(CLASSES))
    return K


def compared(reference: Reference, estimand: Estimand, A: Any, spectrum: list[Any]) -> tuple[float, float]:
    """Error over the bound alone, and over the bound with the operator's own rounding."""
    if isinstance(estimand, Trace):
        gap = abs(mpf(float(reference.arrays["trace"][0])) - sum(spectrum))
    elif isinstance(estimand, Diagonal):
        gap = max(abs(mpf(float(value)) - A[i, i]) for i, value in enumerate(reference.arrays["diagonal"]))
    else:
        assert isinstance(estimand, TopEigenvalues)
        key = {"magnitude": lambda v: -abs(v), "algebraic": lambda v: -v, "smallest": lambda v: v}[estimand.which]
        found = [mpf(float(value)) for value in reference.arrays["eigenvalues"]]
        sizes = abs if estimand.which == "magnitude" else lambda v: v
        gap = max(abs(sizes(a) - sizes(b)) for a, b in zip(found, sorted(spectrum, key=key), strict=False))
    alone = float(gap) / reference.bound if reference.bound else (math.inf if gap else 0.0)
    return alone, float(gap) / max(reference.bound_in("float64"), 5e-324)


def problems() -> Iterator[tuple[str, dict[Any, Any], Any, list[Any]]]:
    """Name, references, matrix (None where only the spectrum is known) and spectrum of each problem."""
    for loss, samples, size in (("cross-entropy", 8, 1.0), ("squared", 4, 1.0), ("cross-entropy", 8, 6.0)):
        made = network(loss, samples, size, samples)
        for operator in OPERATORS[:6]:
            A = matrix_of(made, operator)
            spectrum = list(mpmath.eigsy(A, eigvals_only=True))
            dense = references_of(lambda m=made: m, MatrixChoice(operator), A.rows)
            yield f"DENSE {operator} {loss} {size}", dict(dense), A, spectrum
            if operator in ("ggn", "gradient-second-moment", "gradient-covariance"):
                found = gram_references(lambda m=made: m, 10.0, operator)
                yield f"GRAM {operator} {loss} {size}", dict(found), A, spectrum
    for name, draw in SPECTRA.items():
        for n in (30, 1000):
            values = [mpf(float(value)) for value in draw(n)]
            references = dict(spectrum_problem(name=name, n=n).references)
            references.pop(Diagonal, None)
            yield f"ANALYTIC {name} {n}", references, None, values
    for name in PROFILES:
        problem = diagonal_problem(n=30, profile=name)
        C = correlation_spectrum(30, derive_seed("correlation", problem.name))
        root = [mpmath.sqrt(mpf(float(value))) for value in PROFILES[name](30)]
        column = [
            sum(mpf(float(C[min(k, 30 - k)])) * mpmath.cos(2 * mp.pi * k * d / 30) for k in range(30)) / 30
            for d in range(30)
        ]
        A = mpmath.matrix(30, 30)
        for i in range(30):
            for j in range(30):
                A[i, j] = root[i] * column[(i - j) % 30] * root[j]
        yield f"DENSE/ANALYTIC diagonal {name}", dict(problem.references), A, list(mpmath.eigsy(A, eigvals_only=True))


def saturated() -> Iterator[tuple[float, int, float]]:
    """Size of the weights, seed, and error over the bound of a row of the GGN's trace, the softmax saturated."""
    for size in (6.0, 20.0, 60.0):
        for seed in (1, 8, 9, 10):
            made = network("cross-entropy", 8, size, seed)
            A = matrix_of(made, "ggn")
            found = references_of(lambda m=made: m, MatrixChoice("ggn"), A.rows)[Trace](Trace())
            yield size, seed, compared(found, Trace(), A, [A[i, i] for i in range(A.rows)])[1]


def main() -> None:
    mp.dps = 50
    torch.set_num_threads(1)
    worst: dict[str, float] = {}
    for name, references, A, spectrum in problems():
        for estimand in ASKED:
            if type(estimand) not in references or (isinstance(estimand, Diagonal) and A is None):
                continue
            reference = references[type(estimand)](estimand)
            alone, row = compared(reference, estimand, A, spectrum)
            key = f"{reference.source} {estimand.key}"
            worst[key] = max(worst.get(key, 0.0), row)
            if row > 1 or alone > 1:
                print(f"{name:45} {estimand.spec:40} error/bound {alone:.3g}, with rounding {row:.3g}", flush=True)
    for key, value in sorted(worst.items()):
        print(f"largest error over the bound of a row: {key:40} {value:.3g}")
    for size, seed, ratio in saturated():
        print(f"saturated softmax, weights times {size:g}, seed {seed}: error over the bound of a row {ratio:.3g}")


if __name__ == "__main__":
    main()

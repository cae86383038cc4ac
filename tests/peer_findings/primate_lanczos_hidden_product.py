"""scikit-primate 0.5.6: `lanczos(deg=20)` makes 21 products: it multiplies with the zero vector to find the dtype.

It does so where the operator says its dtype, too. And by default it orthogonalises against nothing: 150 steps on 0.9^i
hand back the largest eigenvalue many times.
"""

import numpy as np
from primate.lanczos import lanczos, rayleigh_ritz
from scipy.sparse.linalg import LinearOperator


def main() -> None:
    n, seen = 200, []
    diagonal = 0.9 ** np.arange(n)

    def multiply(x: np.ndarray) -> np.ndarray:
        seen.append(float(np.linalg.norm(x)))
        return (diagonal * x.T).T

    lanczos(LinearOperator((n, n), matvec=multiply, dtype=np.float64), deg=20, seed=0)
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    values = rayleigh_ritz((Q * diagonal) @ Q.T, deg=150, seed=0)
    copies = int((np.abs(values - 1) < 1e-6).sum())
    print(f"deg=20: {len(seen)} products, the first with a vector of norm {seen[0]:g}; copies of lambda_1: {copies}")
    assert len(seen) == 21
    assert seen[0] == 0
    assert copies >= 5


if __name__ == "__main__":
    main()

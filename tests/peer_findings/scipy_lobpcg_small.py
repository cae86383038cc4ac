"""SciPy 1.17: `lobpcg` of k values multiplies with the identity where n < 5 k: n products for one step."""

import warnings

import numpy as np
from scipy.sparse.linalg import LinearOperator, lobpcg


def main() -> None:
    n, columns = 48, []

    def multiply(x: np.ndarray) -> np.ndarray:
        columns.append(1 if x.ndim == 1 else x.shape[1])
        return (np.arange(1, n + 1) * x.T).T

    operator = LinearOperator((n, n), matvec=multiply, matmat=multiply, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lobpcg(operator, np.random.default_rng(0).standard_normal((n, 10)), maxiter=1)
    print(f"n = {n}, k = 10, maxiter = 1: {sum(columns)} products")
    assert sum(columns) >= n


if __name__ == "__main__":
    main()

"""scikit-primate 0.5.6: `xtrace(converge="count", count=10)` makes all 2 n products: the criterion asked for is lost.

`converge` is overwritten by the count n before it is read, and then joined with itself.
"""

import numpy as np
from primate.trace import xtrace
from scipy.sparse.linalg import LinearOperator


def spent(n: int = 200, **keywords: object) -> int:
    diagonal, columns = 0.9 ** np.arange(n), []

    def multiply(x: np.ndarray) -> np.ndarray:
        columns.append(1 if x.ndim == 1 else x.shape[1])
        return (diagonal * x.T).T

    operator = LinearOperator((n, n), matvec=multiply, matmat=multiply, dtype=np.float64)
    xtrace(operator, seed=0, **keywords)
    return sum(columns)


def main() -> None:
    plain, asked = spent(), spent(converge="count", count=10)
    print(f"n = 200: {plain} products by default, {asked} with converge='count', count=10")
    assert plain == asked == 400


if __name__ == "__main__":
    main()

"""scikit-primate 0.5.6: `hutchpp(m=30)` multiplies 90 times and reports 60; `m=5` multiplies 21 times.

`m` is documented as the number of matvecs to use. "Ensure nb divides by 3" adds m % 3, and 5 + 2 does not divide by 3.
"""

import numpy as np
from primate.trace import hutchpp
from scipy.sparse.linalg import LinearOperator


def spent(m: int, n: int = 200) -> tuple[int, int]:
    """Products that were made, and those that are reported."""
    diagonal, columns = 0.9 ** np.arange(n), []

    def multiply(x: np.ndarray) -> np.ndarray:
        columns.append(1 if x.ndim == 1 else x.shape[1])
        return (diagonal * x.T).T

    operator = LinearOperator((n, n), matvec=multiply, matmat=multiply, dtype=np.float64)
    _, result = hutchpp(operator, m=m, seed=0, full=True)
    return sum(columns), result.nit


def main() -> None:
    found = {m: spent(m) for m in (4, 5, 30, 32)}
    print("asked: (done, reported)", found)
    assert found == {4: (15, 10), 5: (21, 14), 30: (90, 60), 32: (102, 68)}


if __name__ == "__main__":
    main()

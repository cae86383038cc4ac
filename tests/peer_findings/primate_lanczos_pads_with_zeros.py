"""scikit-primate 0.5.6: `lanczos` of an operator whose Krylov space ends early hands back zeros as if they were found.

Three times the identity, `deg=6`: one step is made, and the tridiagonal matrix has the eigenvalues 3, 0, 0, 0, 0, 0.
"""

import numpy as np
from primate.lanczos import rayleigh_ritz


def main() -> None:
    values = np.sort(rayleigh_ritz(3.0 * np.eye(200), deg=6, orth=6, seed=0))
    print("3 I has the eigenvalue 3 only; its Ritz values by primate:", values)
    assert np.allclose(values, [0, 0, 0, 0, 0, 3])


if __name__ == "__main__":
    main()

"""scikit-primate 0.5.6: `hutch` stops by an absolute half width of 1, so a small trace is the mean of three probes.

The same matrix times 1e-3 takes 3 products in place of 28 and is off by more than a tenth; nothing is said.
"""

import numpy as np
from primate.trace import hutch


def main() -> None:
    n = 200
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    A = (Q * 0.9 ** np.arange(n)) @ Q.T
    errors = {}
    for scale in (1.0, 1e-3):
        found = [hutch(scale * A, seed=seed, full=True, batch=1) for seed in range(20)]
        probes = np.median([result.nit for _, result in found])
        miss = [abs(np.ravel(value)[0] / (scale * np.trace(A)) - 1) for value, _ in found]
        errors[scale] = (probes, np.median(miss))
    print("scale: (probes, relative error), medians of 20 seeds", errors)
    assert errors[1e-3][0] == 3
    assert errors[1.0][0] > 15
    assert errors[1e-3][1] > 1.5 * errors[1.0][1]


if __name__ == "__main__":
    main()

"""hessian-eigenthings 1.0.0a5: after a value that did not converge, power iteration flags values of another matrix.

Eigenvalues 1 and -1 beside smaller ones: the first vector is a mixture, and what is deflated by it has eigenvalues that
A does not have. The flag is that of the deflated matrix.
"""

import torch
from hessian_eigenthings import deflated_power_iteration
from hessian_eigenthings.operators.base import LambdaOperator


def main() -> None:
    n = 200
    truth = torch.cat([torch.tensor([1.0, -1.0]), 0.5 * 0.9 ** torch.arange(n - 2)]).double()
    operator = LambdaOperator(lambda v: truth * v, size=n, dtype=torch.float64)
    wrong = []
    for seed in range(10):
        found = deflated_power_iteration(operator, k=3, seed=seed)
        gaps = (found.eigenvalues[:, None] - truth).abs().min(dim=1).values
        far = found.converged & (gaps > 0.01)
        wrong += [round(float(value), 4) for value in found.eigenvalues[far]]
    print("flagged as converged, and over 0.01 away from every eigenvalue, of 10 seeds:", wrong)
    assert len(wrong) >= 5


if __name__ == "__main__":
    main()

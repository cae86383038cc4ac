"""curvlinops 3.0.1: `xtrace` and `xdiag` of the zero matrix raise an error of linear algebra; `hutchpp_trace` gives 0.

A network at zero weights has such blocks. Both invert the triangular factor of A W without looking at it.
"""

import torch
from curvlinops import hutchpp_trace, xdiag, xtrace


class Zero:
    shape, device, dtype = (60, 60), torch.device("cpu"), torch.float64

    def __matmul__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)

    def adjoint(self) -> "Zero":
        return self


def main() -> None:
    raised = []
    for function in (xtrace, xdiag):
        try:
            function(Zero(), 30)
        except torch.linalg.LinAlgError as failure:
            raised.append(f"{function.__name__}: {str(failure)[:60]}")
    print(raised, float(hutchpp_trace(Zero(), 30)))
    assert len(raised) == 2


if __name__ == "__main__":
    main()

"""curvlinops' own operator on a copy of the network, charged before each of its products and gradients.

It keeps no graph: a block of Hessian products makes the gradient again, and one of GGN products the outputs, once to
differentiate them forwards and once backwards.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor

from hessbench.counting import CountingOperator
from hessbench.distributions import library
from hessbench.methods.peers.borrowed import borrowed
from hessbench.operators import ProductKind

CHECKED: Final = 4
"""Two gradients and two products: what its operator takes to check that it is deterministic."""

CITATION: Final = (
    "Dangel, Mucsanyi, Weber and Eschenhagen, Position: Curvature matrices should be democratized via linear operators "
    "(2025), arXiv:2501.19183, https://github.com/f-dangel/curvlinops"
)
LIBRARY: Final = "curvlinops-for-pytorch"

_BESIDE: Final = {ProductKind.HESSIAN: (ProductKind.GRADIENT, 1), ProductKind.GGN: (ProductKind.FORWARD, 2)}
"""What a block of its products makes beside them, and how often."""

_CLASSES: Final = {ProductKind.HESSIAN: "HessianLinearOperator", ProductKind.GGN: "GGNLinearOperator"}


@contextmanager
def own_operator(op: CountingOperator, *, check: bool) -> Generator[Any]:
    """Its Hessian or GGN of a copy of the network.

    Args:
        op: The counted operator, which is charged.
        check: Whether it checks that it is deterministic when it is made, as it does by default.

    Yields:
        The operator.

    Raises:
        BudgetExceeded: If the check does not fit.
    """
    with borrowed(op) as lent:
        copy = lent.copy

        class ChargedMatrix(getattr(library("curvlinops"), _CLASSES[copy.kind])):  # pyright: ignore[reportUntypedBaseClass]
            def _matmat(self, M: list[Tensor]) -> list[Tensor]:
                lent.charge(M[0].shape[-1])
                lent.charge_beside(*_BESIDE[copy.kind])
                return super()._matmat(M)

            def data_prediction_loss_gradient(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
                lent.charge(1, ProductKind.GRADIENT)
                return super().data_prediction_loss_gradient(*args, **kwargs)

        parameters, data = list(copy.parameters), list(copy.batches)
        with torch.enable_grad():
            yield ChargedMatrix(copy.model, copy.loss, parameters, data, check_deterministic=check)


def least_own(dim: int, *, check: bool, **_: object) -> int:
    """Least budget of what is run on its own operator."""
    del dim
    return CHECKED * check + 3

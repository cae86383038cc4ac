"""What row methods take of an operator: the rows of a GGN, and of a Hessian what is left beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias, cast

from hessbench.operator_parts import Parted, Parts, Rowed, Rows, Structured
from hessbench.operator_protocol import LinearOperator
from hessbench.operator_structure import Structure


class RowedOperator(LinearOperator, Rowed, Protocol):
    """A GGN that offers its rows."""


class PartedOperator(LinearOperator, Parted, Structured, Protocol):
    """A Hessian that offers its parts and says where the diagonal of one vanishes."""


WithRows: TypeAlias = RowedOperator | PartedOperator


@dataclass(frozen=True, eq=False)
class Split:
    """An operator G, or G + R + c I.

    Attributes:
        rows: The rows of G.
        parts: G, R and c, of a Hessian.
        structure: Where the diagonal of R vanishes, of a Hessian.
    """

    rows: Rows
    parts: Parts | None = None
    structure: Structure | None = None

    @property
    def shift(self) -> float:
        """The constant c."""
        return 0.0 if self.parts is None else self.parts.shift


def split(op: WithRows) -> Split:
    """Take a GGN or a Hessian apart. Cost: of a Hessian, the forward pass of its structure.

    Which of the two it is, is asked by name: a counted operator has the properties of both, and refuses some.
    """
    if not hasattr(op, "parts"):
        return Split(cast("RowedOperator", op).rows)
    whole = cast("PartedOperator", op)
    parts = whole.parts
    return Split(cast("RowedOperator", parts.ggn).rows, parts, whole.structure)

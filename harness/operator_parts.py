"""What else an operator of a network may offer: its rows, itself over some samples, and the parts of a Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from hessbench.operator_protocol import LinearOperator
from hessbench.operator_structure import Structure


@runtime_checkable
class Rows(Protocol):
    """The rows of a GGN = sum_r b_r b_r^T over N samples.

    Row r belongs to one sample i: b_r = J_i^T s_r (n,), with s_r (C,) one of the columns of a root of the Hessian of
    the loss of sample i in its outputs, the mean over samples inside it. Those of a sample are orthogonal to each
    other, by descending norm where all of its outputs share one loss. So ||b_r|| <= ||J_i|| ||s_r||, and where a
    network is sure of a sample, all of its rows are next to nothing.
    """

    @property
    def num_samples(self) -> int:
        """Number N of samples."""
        ...

    @property
    def per_sample(self) -> int:
        """Rows of each sample: row r belongs to sample r // per_sample."""
        ...

    def root_norms(self) -> Tensor:
        """Norms ||s_r|| of the columns of the root, (num_rows,). Cost: one forward pass, the first time."""
        ...

    def sample_norms(self) -> Tensor:
        """Norms ||S_i||_F of the roots of the samples, (num_samples,): their squares sum those of the rows' roots.

        Cost: found in the same forward pass, without taking the roots apart into rows.
        """
        ...

    def slope_norms(self) -> Tensor:
        """Norms of the gradients of the losses in their outputs, (num_samples,): those weigh the residual of a Hessian.

        Cost: found in the same forward pass as the roots.
        """
        ...

    def input_norms(self) -> Tensor:
        """Norms of what goes into the network for each sample, (num_samples,); all 1 where that is no real numbers.

        A hint at the sizes of the Jacobians and no bound: those of a first layer grow with it.

        Cost: none.
        """
        ...

    def __call__(self, indices: Tensor, /) -> Tensor:
        """The rows of these numbers (r,) as a block (dim, r). Cost: a forward pass and a VJP of one sample each."""
        ...


@runtime_checkable
class Rowed(Protocol):
    """An operator that is the sum of outer products of its rows."""

    @property
    def rows(self) -> Rows:
        """The rows."""
        ...


@runtime_checkable
class Sampled(Protocol):
    """An operator that is a sum over samples."""

    def subset(self, samples: Tensor, weights: Tensor | None = None, /) -> LinearOperator:
        """The same sum over some samples: sum_i w_i A_i, A_i the part of sample i in this operator.

        Args:
            samples: Numbers of the samples, (m,), each at most once, m at least 1.
            weights: Weights (m,), not negative; all 1 by default, when all samples give the operator itself.
        """
        ...


@dataclass(frozen=True, eq=False)
class GroupForms:
    """What an operator A says of the parts of one vector v, v_g being v inside one group of parameters, 0 elsewhere.

    Attributes:
        values: v_g^T A v_g, (G,) in float64 on the CPU; NaN where it is not known.
        sizes: The sizes of what these are sums of, of which their rounding is a small multiple of eps, (G,).
    """

    values: Tensor
    sizes: Tensor


@runtime_checkable
class Formed(Protocol):
    """An operator that says what it is inside groups of parameters, without whole products."""

    def forms(self, v: Tensor, groups: Sequence[tuple[int, int]], /) -> GroupForms:
        """v_g^T A v_g of the parts of a vector.

        Args:
            v: A vector, (n,).
            groups: Parts start..stop of it, (G,).

        Cost: less than a product for every two groups.
        """
        ...


@runtime_checkable
class Units(Protocol):
    """The units of a network in which it is curved, as a tanh is: with them the diagonal of its residual exactly."""

    @property
    def num_units(self) -> int:
        """Units of each sample; 0 where the residual has a zero diagonal."""
        ...

    @property
    def work(self) -> float:
        """Share of the price of `num_units` per-example squares that the diagonal takes, by multiplications."""
        ...

    def diagonal(self) -> Tensor:
        """The diagonal of R, (n,). Cost: `num_units` squares of gradients of single samples, which share their work."""
        ...


@runtime_checkable
class Curved(Protocol):
    """A residual that offers the units in which its network is curved."""

    @property
    def units(self) -> Units:
        """The units. Cost: a forward pass of one sample, in which the network is read."""
        ...


@dataclass(frozen=True, eq=False)
class Parts:
    """A Hessian as a sum.

    Attributes:
        ggn: The Gauss-Newton matrix G.
        residual: R, what the network's own curvature adds.
        shift: c of the weight decay: the operator is G + R + c I.
    """

    ggn: LinearOperator
    residual: LinearOperator
    shift: float = 0.0


@runtime_checkable
class Parted(Protocol):
    """A Hessian that offers its parts."""

    @property
    def parts(self) -> Parts:
        """GGN, residual, and shift."""
        ...


@runtime_checkable
class Structured(Protocol):
    """A Hessian that says where the diagonal of its residual vanishes."""

    @property
    def structure(self) -> Structure:
        """What was shown. Cost: one forward pass, the first time."""
        ...

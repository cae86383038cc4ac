"""Where in the outputs of a user's model the samples, positions and classes are: rows (m, D) of whatever it returns.

What a sample has along more axes becomes one row of D = L W numbers, L rows of W that the loss takes together. Which
axis holds the classes is the loss's business: the second one for `nn.CrossEntropyLoss` and `nn.NLLLoss`, as torch has
it, the last one for the losses of this package; elementwise losses take every number by itself, and a function of
one's own gets the outputs as the model returns them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.losses import Loss
from hessbench.problems.networks.network import Batch, Forward

UserLoss: TypeAlias = str | Loss | Callable[[Tensor, Tensor], Tensor]

Kind: TypeAlias = Literal["last", "second", "elements", "own"]

FUNCTIONS: tuple[tuple[object, UserLoss], ...] = (
    (nn.functional.cross_entropy, nn.CrossEntropyLoss()),
    (nn.functional.mse_loss, nn.MSELoss()),
    (nn.functional.nll_loss, nn.NLLLoss()),
    (nn.functional.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss()),
)
"""Functions of torch with the modules that do the same."""


@dataclass(frozen=True)
class Layout:
    """The outputs of a model as rows.

    Attributes:
        kind: Which axis holds the classes.
        shapes: What the outputs of a sample look like in each batch: lengths may differ between batches.
        samples: Samples of each batch.
    """

    kind: Kind
    shapes: tuple[tuple[int, ...], ...]
    samples: tuple[int, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the outputs are (m, C) as they are."""
        return len(self.shapes[0]) == 1

    @property
    def is_ragged(self) -> bool:
        """Whether samples of one batch have more outputs than those of another."""
        return len(set(self.shapes)) > 1

    @property
    def width(self) -> int:
        """Outputs W of a row."""
        return self.width_in(self.shapes[0])

    def width_in(self, shape: tuple[int, ...]) -> int:
        """Outputs W of a row, of a sample of that shape."""
        if len(shape) == 1 or self.kind == "own":
            return math.prod(shape)
        if self.kind == "elements" or not shape:
            return 1
        return shape[-1] if self.kind == "last" else shape[0]

    @property
    def rows(self) -> int:
        """Rows of all samples, without any padding."""
        sizes = (size * math.prod(shape) for size, shape in zip(self.samples, self.shapes, strict=True))
        return sum(sizes) // self.width

    @property
    def share(self) -> float:
        """Number of samples over that of rows: what a mean over the rows is of the mean over samples of their sums."""
        return sum(self.samples) / self.rows

    def positions(self, batch: int) -> tuple[int, ...]:
        """The axes of a sample without that of its classes."""
        shape = self.shapes[batch]
        return shape[1:] if self.kind == "second" else shape[:-1]

    def flat(self, outputs: Tensor) -> Tensor:
        """Outputs (m, ...) as rows (m, D)."""
        if self.is_plain:
            return outputs
        if not self.shapes[0]:
            return outputs[:, None]
        return (outputs.movedim(1, -1) if self.kind == "second" else outputs).flatten(1)

    def rows_of(self, outputs: Tensor) -> Tensor:
        """Outputs (m, ...) as rows (m, D), those of shorter samples filled up with zeros."""
        found = self.flat(outputs)
        if self.is_ragged:
            most = max(math.prod(shape) for shape in self.shapes)
            found = torch.cat([found, found.new_zeros(found.shape[0], most - found.shape[1])], dim=1)
        return found

    def forward(self, forward: Forward) -> Forward:
        """A forward pass that returns rows (m, D)."""
        if self.is_plain:
            return forward

        def outputs(parameters: Tensor, inputs: Inputs) -> Tensor:
            return self.rows_of(forward(parameters, inputs))

        return outputs

    def filled(self, batches: Sequence[Batch], label: int) -> tuple[Batch, ...]:
        """Batches whose targets are as long as the longest, with labels that count for nothing, and zeros."""
        if not self.is_ragged:
            return tuple(batches)
        longest = max(batch.targets.shape[1] for batch in batches)

        def filled(targets: Tensor) -> Tensor:
            m, length, *rest = targets.shape
            value = 0 if targets.is_floating_point() else label
            return torch.cat([targets, targets.new_full((m, longest - length, *rest), value)], dim=1)

        return tuple(Batch(batch.inputs, filled(batch.targets)) for batch in batches)


def layout_of(loss: UserLoss, batches: Sequence[Batch], shapes: Sequence[tuple[int, ...]]) -> Layout:
    """The layout that a loss asks for.

    Args:
        loss: As of `from_model`.
        batches: The data.
        shapes: What the outputs of a sample look like in each batch.

    Raises:
        ValueError: If the outputs have no axis for the classes, or samples of different size do not fit the loss.
    """
    loss = next((module for function, module in FUNCTIONS if function is loss), loss)
    named = loss.name if isinstance(loss, Loss) else loss
    kind: Kind = "own"
    if isinstance(loss, str | Loss):
        kind = "last"
    elif type(loss) in (nn.CrossEntropyLoss, nn.NLLLoss):
        kind = "second"
    elif type(loss) in (nn.MSELoss, nn.BCEWithLogitsLoss):
        kind = "elements"
    layout = Layout(kind, tuple(shapes), tuple(batch.size for batch in batches))
    if not shapes[0] and (kind == "second" or named == "cross-entropy"):
        raise ValueError(
            "the model returns one number (m,) for each sample, which are no scores of classes: return (m, C), or take "
            "nn.BCEWithLogitsLoss for yes or no, nn.MSELoss for values"
        )
    if layout.is_ragged and (kind == "own" or isinstance(loss, Loss)):
        raise ValueError(
            f"the model returns samples of shapes {', '.join(map(str, sorted(set(shapes))))} in different batches, "
            "which only the losses of torch and those by name weigh: bring all batches to one length"
        )
    if layout.is_ragged and len({(len(shape), layout.width_in(shape)) for shape in shapes}) > 1:
        raise ValueError(
            f"the model returns samples of shapes {', '.join(map(str, sorted(set(shapes))))} in different batches: as "
            "many classes in each are needed"
        )
    return layout

"""Embeddings whose padding is a constant in every mode of differentiation."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override


class PaddedEmbedding(nn.Embedding):
    """An embedding whose row `padding_idx` is a constant.

    So `nn.Embedding` says of itself, and so is the gradient that torch's reverse mode gives; its forward mode
    differentiates the row like any other, and derivatives that mix the two are those of no function.
    """

    padding: Tensor

    @override
    def forward(self, input: Tensor) -> Tensor:
        """Rows (..., d) of the tokens."""
        rows = functional.embedding(
            input, self.weight, None, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )
        return rows.where((input != self.padding_idx)[..., None], self.padding)


def fix_padding(module: nn.Embedding) -> None:
    """Make the padding of an embedding a buffer of its own, `padding` (d,), where it has one."""
    if module.padding_idx is None or type(module) is not nn.Embedding:
        return
    module.register_buffer("padding", module.weight.detach()[module.padding_idx].clone())
    module.__class__ = PaddedEmbedding

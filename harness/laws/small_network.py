"""The small Hessian and GGN of a network of the laws, for methods that are run on copies of it."""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor, nn
from torch.func import functional_call, hessian, jacrev

from hessbench.laws.small_structured import OUTPUTS, SAMPLES
from hessbench.network_copy import NetworkCopy
from hessbench.operators import OperatorInfo, ProductKind
from hessbench.seeding import derive_seed, make_generator

HIDDEN: Final = 5
_SIZES: Final = (5, HIDDEN, OUTPUTS)  # 5 * 5 + 5 + 5 * 3 + 3 = 48 parameters


@final
class SmallNetworkOperator:
    """The dense Hessian or GGN of a perceptron, which hands out copies of that."""

    def __init__(self, kind: ProductKind, dtype: torch.dtype) -> None:
        generator = make_generator(derive_seed("conformance", "network"))
        first, hidden, last = _SIZES
        self._weights = torch.randn(first * hidden + hidden + hidden * last + last, generator=generator).to(dtype)
        self._inputs = torch.randn(SAMPLES, first, generator=generator).to(dtype)
        self._targets = torch.arange(SAMPLES) % OUTPUTS
        self._kind = kind
        self.dim = self._weights.numel()
        self.dtype = dtype
        self.device = torch.device("cpu")
        self.info = OperatorInfo(kind, SAMPLES, SAMPLES)
        self._A = self._matrix()

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block."""
        return self._A @ block

    def network_copy(self) -> NetworkCopy:
        """A new copy of the perceptron."""
        first, hidden, last = _SIZES
        # Without its usual weights: nothing is drawn.
        layers = (nn.utils.skip_init(nn.Linear, *sizes) for sizes in ((first, hidden), (hidden, last)))
        model = nn.Sequential(next(layers), nn.Tanh(), next(layers)).to(self.dtype)
        with torch.no_grad():
            nn.utils.vector_to_parameters(self._weights.clone(), model.parameters())
        data = [(self._inputs.clone(), self._targets.clone())]
        return NetworkCopy(model.eval(), list(model.parameters()), nn.CrossEntropyLoss(), data, self._kind, SAMPLES)

    def _matrix(self) -> Tensor:
        copy = self.network_copy()
        names = [name for name, _ in copy.model.named_parameters()]
        shapes = [parameter.shape for parameter in copy.parameters]
        sizes = [shape.numel() for shape in shapes]

        def outputs(flat: Tensor) -> Tensor:
            pieces = (piece.view(shape) for piece, shape in zip(flat.split(sizes), shapes, strict=True))
            return functional_call(copy.model, dict(zip(names, pieces, strict=True)), (self._inputs,))

        def loss(flat: Tensor) -> Tensor:
            return copy.loss(outputs(flat), self._targets)

        if self._kind is ProductKind.HESSIAN:
            matrix: Tensor = hessian(loss)(self._weights)
        else:
            J: Tensor = jacrev(outputs)(self._weights)
            p = outputs(self._weights).softmax(dim=1)
            inner = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
            matrix = torch.einsum("mcp,mcd,mdq->pq", J, inner, J) / SAMPLES
        return ((matrix + matrix.T) / 2).detach()

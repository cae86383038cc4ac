"""The small operators of the laws for methods that take rows, subsets of the samples, or the parts of a Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

import torch
from torch import Tensor

from hessbench.operator_parts import Parts
from hessbench.operator_structure import Structure
from hessbench.operators import OperatorInfo, ProductKind
from hessbench.seeding import derive_seed, make_generator

SAMPLES: Final = 6
OUTPUTS: Final = 3
GROUPS: Final = 2


@final
class SmallRows:
    """The columns of a dense factor as rows, those of a sample orthogonal and by descending norm."""

    per_sample = OUTPUTS

    def __init__(self, B: Tensor) -> None:
        self._B = B
        self.num_samples = B.shape[1] // OUTPUTS

    def root_norms(self) -> Tensor:
        """Norms of the roots: those of the rows, as if every Jacobian were an isometry."""
        return self._B.norm(dim=0)

    def sample_norms(self) -> Tensor:
        """Those of the rows of each sample, together."""
        return self.root_norms().view(-1, OUTPUTS).norm(dim=1)

    def slope_norms(self) -> Tensor:
        """Norms of slopes that fall like the weights of the samples."""
        return 3.0 ** -torch.arange(SAMPLES, dtype=self._B.dtype)

    def input_norms(self) -> Tensor:
        """Norms of inputs that are all alike."""
        return torch.ones(self.num_samples, dtype=self._B.dtype)

    def __call__(self, indices: Tensor, /) -> Tensor:
        """Rows as a block."""
        return self._B[:, indices]


@final
class SmallFactor:
    """A dense factor."""

    num_samples = SAMPLES
    num_outputs = OUTPUTS
    num_columns = SAMPLES * OUTPUTS

    def __init__(self, F: Tensor) -> None:
        self._F = F

    def rmatmat(self, block: Tensor, /) -> Tensor:
        """F @ block."""
        return self._F @ block

    def squared_sum(self, block: Tensor, /) -> Tensor:
        """Per-sample squares, summed."""
        columns = self._F.reshape(-1, SAMPLES, OUTPUTS)
        return torch.einsum("psc,sck->psk", columns, block.reshape(SAMPLES, OUTPUTS, -1)).square().sum(1)

    def drawn_squares(self, number: int, generator: torch.Generator, /) -> Tensor:
        """Per-sample squares of one output each, all alike probable, summed."""
        drawn = torch.randint(OUTPUTS, (SAMPLES, number), generator=generator, device=self._F.device)
        block = OUTPUTS**0.5 * torch.nn.functional.one_hot(drawn, OUTPUTS).transpose(1, 2).to(self._F)
        return self.squared_sum(block.reshape(self.num_columns, number))


class _OverSamples:
    """A dense matrix that is a sum over samples."""

    def __init__(self, pieces: Sequence[Tensor], kind: ProductKind, population: int = SAMPLES) -> None:
        self._pieces = pieces
        self._A = torch.stack(list(pieces)).sum(dim=0)
        self.dim = self._A.shape[0]
        self.dtype = self._A.dtype
        self.device = self._A.device
        self.info = OperatorInfo(kind, len(pieces), population)

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block."""
        return self._A @ block

    def subset(self, samples: Tensor, weights: Tensor | None = None, /) -> _OverSamples:
        """The sum over some samples."""
        chosen = [self._pieces[sample] for sample in samples.tolist()]
        if weights is not None:
            chosen = [weight * piece for weight, piece in zip(weights.to(self.dtype), chosen, strict=True)]
        return _OverSamples(chosen, self.info.kind)


@final
class SmallGGN(_OverSamples):
    """G = B B^T with its rows and its factor."""

    def __init__(self, B: Tensor) -> None:
        blocks = B.split(OUTPUTS, dim=1)
        super().__init__([block @ block.T for block in blocks], ProductKind.GGN)
        self.rows = SmallRows(B)
        self.factor = SmallFactor(B)


@final
class SmallHessian(_OverSamples):
    """H = G + R with R zero on the diagonal blocks of two groups of parameters."""

    def __init__(self, ggn: SmallGGN, residual: Sequence[Tensor]) -> None:
        super().__init__([G + R for G, R in zip(ggn._pieces, residual, strict=True)], ProductKind.HESSIAN)
        self.parts = Parts(ggn, _OverSamples(residual, ProductKind.HESSIAN))
        half = self.dim // 2
        self.structure = Structure(torch.ones(self.dim, dtype=torch.bool), ((0, half), (half, self.dim)))


def small_ggn(dim: int, dtype: torch.dtype) -> SmallGGN:
    """A GGN of 6 samples with 3 outputs each, whose weights fall by a factor of 3 from one sample to the next."""
    generator = make_generator(derive_seed("conformance"))
    B = torch.randn(dim, SAMPLES * OUTPUTS, generator=generator, dtype=torch.float64) / dim**0.5
    blocks = [torch.linalg.svd(block, full_matrices=False) for block in B.split(OUTPUTS, dim=1)]
    weights = 3.0 ** -torch.arange(SAMPLES, dtype=torch.float64)
    columns = [U * S * weight for (U, S, _), weight in zip(blocks, weights, strict=True)]
    return SmallGGN(torch.cat(columns, dim=1).to(dtype))


def small_hessian(dim: int, dtype: torch.dtype) -> SmallHessian:
    """The same GGN and a residual of a tenth of its size."""
    generator = make_generator(derive_seed("conformance", "residual"))
    half = dim // 2
    residual: list[Tensor] = []
    for sample in range(SAMPLES):
        R = torch.zeros(dim, dim, dtype=torch.float64)
        corner = torch.randn(half, dim - half, generator=generator, dtype=torch.float64)
        R[:half, half:] = corner * 0.1 * 3.0**-sample / dim**0.5
        residual.append((R + R.T).to(dtype))
    return SmallHessian(small_ggn(dim, dtype), residual)

"""Held-out convolutional networks: every way to pad, pool, normalise, and change the resolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from hessbench.problems.held_out.model import Formula, HeldOutModel, values

IMAGE: Final = values(2, 4, 4)
Padding: TypeAlias = Literal["circular", "reflect", "replicate"]
PADDINGS: Final[tuple[Padding, ...]] = get_args(Padding)


def chain(*layers: nn.Module, width: int) -> nn.Module:
    """The layers one after the other, flattened, and a dense layer."""
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 3))


def _padded(mode: Padding) -> Callable[[], nn.Module]:
    return lambda: chain(nn.Conv2d(2, 2, 3, padding=1, padding_mode=mode), nn.Tanh(), nn.AvgPool2d(2), width=8)


def _normal(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: chain(nn.Conv2d(2, 4, 3), make(), nn.SiLU(), nn.AdaptiveAvgPool2d(1), width=4)


def _pooled(make: Callable[[], nn.Module], width: int) -> Callable[[], nn.Module]:
    return lambda: chain(nn.Conv2d(2, 2, 3, padding=1), nn.Softplus(), make(), width=width)


def _excited(net: Any, x: Tensor) -> Tensor:
    h = net.first(x).relu()
    gates = net.up(net.down(h.mean(dim=(2, 3))).relu()).sigmoid()
    return net.last((h * gates[:, :, None, None]).mean(dim=(2, 3)))


def _u_shape(net: Any, x: Tensor) -> Tensor:
    top = net.first(x).tanh()
    low = net.low(nn.functional.max_pool2d(top, 2)).tanh()
    both = torch.cat([top, net.up(low)], dim=1)
    return net.last(both).mean(dim=(2, 3))


def _residual(net: Any, x: Tensor) -> Tensor:
    h = net.norm(net.one(x)).relu()
    return net.last((net.two(h) + x).relu().mean(dim=(2, 3)))


def _shuffled(net: Any, x: Tensor) -> Tensor:
    h = net.one(x)
    h = h.view(h.shape[0], 2, 2, *h.shape[2:]).transpose(1, 2).flatten(1, 2)
    return net.last(net.two(h.tanh()).flatten(1))


def _sampled(net: Any, x: Tensor) -> Tensor:
    """Pixels at places that the network chooses."""
    places = net.where(x.flatten(1)).tanh().view(-1, 2, 2, 2)
    return net.last(nn.functional.grid_sample(x, places, align_corners=False).flatten(1))


CONVOLUTIONAL_MODELS: Final = (
    HeldOutModel("conv-1d", lambda: chain(nn.Conv1d(2, 3, 3), nn.Tanh(), width=9), values(2, 5), 3),
    HeldOutModel("conv-2d", lambda: chain(nn.Conv2d(2, 3, 3), nn.GELU(), width=12), IMAGE, 3),
    HeldOutModel("conv-3d", lambda: chain(nn.Conv3d(1, 2, 2), nn.Tanh(), width=16), values(1, 3, 3, 3), 3),
    HeldOutModel("conv-grouped", lambda: chain(nn.Conv2d(2, 4, 3, groups=2), nn.Tanh(), width=16), IMAGE, 3),
    HeldOutModel("conv-dilated", lambda: chain(nn.Conv1d(2, 3, 2, dilation=3), nn.Tanh(), width=9), values(2, 6), 3),
    HeldOutModel("conv-strided", lambda: chain(nn.Conv2d(2, 3, 2, stride=2), nn.ReLU(), width=12), IMAGE, 3),
    HeldOutModel("conv-same", lambda: chain(nn.Conv1d(2, 2, 3, padding="same"), nn.ELU(), width=10), values(2, 5), 3),
    HeldOutModel(
        "conv-causal",
        lambda: chain(nn.ConstantPad1d((2, 0), 0.5), nn.Conv1d(2, 2, 3), nn.Tanh(), width=10),
        values(2, 5),
        3,
    ),
    HeldOutModel("conv-without-bias", lambda: chain(nn.Conv2d(2, 2, 3, bias=False), nn.Hardswish(), width=8), IMAGE, 3),
    HeldOutModel(
        "conv-separable",
        lambda: chain(nn.Conv2d(2, 4, 3, groups=2), nn.SiLU(), nn.Conv2d(4, 3, 1), nn.Tanh(), width=12),
        IMAGE,
        3,
    ),
    HeldOutModel(
        "conv-only", lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Conv2d(3, 3, 2), nn.Flatten()), IMAGE, 3
    ),
    HeldOutModel(
        "conv-shuffled",
        lambda: Formula(
            _shuffled, one=nn.Conv2d(2, 4, 3, groups=2), two=nn.Conv2d(4, 2, 1, groups=2), last=nn.Linear(8, 3)
        ),
        IMAGE,
        3,
    ),
    HeldOutModel(
        "transposed-1d", lambda: chain(nn.ConvTranspose1d(2, 2, 3, stride=2), nn.Tanh(), width=14), values(2, 3), 3
    ),
    HeldOutModel(
        "transposed-2d",
        lambda: chain(
            nn.ConvTranspose2d(2, 2, 2, stride=2, output_padding=1, dilation=2), nn.Tanh(), nn.AvgPool2d(2), width=18
        ),
        values(2, 2, 2),
        3,
    ),
    HeldOutModel(
        "transposed-3d", lambda: chain(nn.ConvTranspose3d(1, 2, 2), nn.Tanh(), width=54), values(1, 2, 2, 2), 3
    ),
    *(HeldOutModel(f"padding-{mode}", _padded(mode), IMAGE, 3) for mode in PADDINGS),
    HeldOutModel(
        "circular-1d",
        lambda: chain(nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"), nn.Tanh(), width=10),
        values(2, 5),
        3,
    ),
    HeldOutModel("pool-max", _pooled(lambda: nn.MaxPool2d(2), 8), IMAGE, 3),
    HeldOutModel("pool-max-overlapping", _pooled(lambda: nn.MaxPool2d(3, 1, padding=1), 32), IMAGE, 3),
    HeldOutModel("pool-average", _pooled(lambda: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), 8), IMAGE, 3),
    HeldOutModel("pool-adaptive-max", _pooled(lambda: nn.AdaptiveMaxPool2d((2, 3)), 12), IMAGE, 3),
    HeldOutModel("pool-adaptive-average", _pooled(lambda: nn.AdaptiveAvgPool2d((3, 1)), 6), IMAGE, 3),
    HeldOutModel("pool-power", _pooled(lambda: nn.LPPool2d(3, 2), 8), IMAGE, 3),
    HeldOutModel(
        "pool-1d",
        lambda: chain(nn.Conv1d(2, 3, 2), nn.Tanh(), nn.MaxPool1d(2), nn.AvgPool1d(2), width=3),
        values(2, 5),
        3,
    ),
    HeldOutModel("pixel-shuffle", lambda: chain(nn.Conv2d(2, 4, 3), nn.PixelShuffle(2), nn.Tanh(), width=16), IMAGE, 3),
    HeldOutModel(
        "pixel-unshuffle", lambda: chain(nn.PixelUnshuffle(2), nn.Conv2d(8, 2, 1), nn.Tanh(), width=8), IMAGE, 3
    ),
    HeldOutModel(
        "upsample-nearest", _pooled(lambda: nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=2)), 32), IMAGE, 3
    ),
    HeldOutModel(
        "upsample-bilinear",
        _pooled(lambda: nn.Sequential(nn.AvgPool2d(2), nn.Upsample(size=(3, 3), mode="bilinear")), 18),
        IMAGE,
        3,
    ),
    HeldOutModel(
        "upsample-bicubic", _pooled(lambda: nn.Upsample(size=(3, 5), mode="bicubic", align_corners=True), 30), IMAGE, 3
    ),
    HeldOutModel(
        "unfolded-patches",
        lambda: nn.Sequential(nn.Unfold(2, stride=2), nn.Linear(4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(24, 3)),
        IMAGE,
        3,
    ),
    HeldOutModel(
        "folded-patches",
        lambda: chain(nn.Conv2d(2, 4, 3), nn.Flatten(2), nn.Fold((3, 3), 2), nn.Tanh(), width=9),
        IMAGE,
        3,
    ),
    HeldOutModel("batch-norm", _normal(lambda: nn.BatchNorm2d(4)), IMAGE, 3),
    HeldOutModel("batch-norm-fixed", _normal(lambda: nn.BatchNorm2d(4, affine=False)), IMAGE, 3),
    HeldOutModel(
        "batch-norm-1d",
        lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)),
        values(4),
        3,
    ),
    HeldOutModel("group-norm", _normal(lambda: nn.GroupNorm(2, 4)), IMAGE, 3),
    HeldOutModel("layer-norm-images", _normal(lambda: nn.LayerNorm([4, 2, 2])), IMAGE, 3),
    HeldOutModel("instance-norm", _normal(lambda: nn.InstanceNorm2d(4, affine=True)), IMAGE, 3),
    HeldOutModel(
        "instance-norm-tracked", _normal(lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True)), IMAGE, 3
    ),
    HeldOutModel(
        "instance-norm-1d",
        lambda: chain(nn.Conv1d(2, 3, 2), nn.InstanceNorm1d(3), nn.Tanh(), width=12),
        values(2, 5),
        3,
    ),
    HeldOutModel("response-norm", _normal(lambda: nn.LocalResponseNorm(3, alpha=0.5)), IMAGE, 3),
    HeldOutModel(
        "squeeze-excite",
        lambda: Formula(
            _excited, first=nn.Conv2d(2, 4, 3), down=nn.Linear(4, 2), up=nn.Linear(2, 4), last=nn.Linear(4, 3)
        ),
        IMAGE,
        3,
    ),
    HeldOutModel(
        "u-shape",
        lambda: Formula(
            _u_shape,
            first=nn.Conv2d(2, 2, 3, padding=1),
            low=nn.Conv2d(2, 2, 1),
            up=nn.ConvTranspose2d(2, 2, 2, stride=2),
            last=nn.Conv2d(4, 3, 1),
        ),
        IMAGE,
        3,
    ),
    HeldOutModel(
        "conv-residual",
        lambda: Formula(
            _residual,
            one=nn.Conv2d(2, 2, 3, padding=1, bias=False),
            norm=nn.BatchNorm2d(2),
            two=nn.Conv2d(2, 2, 3, padding=1),
            last=nn.Linear(2, 3),
        ),
        IMAGE,
        3,
    ),
    HeldOutModel(
        "inception",
        lambda: Formula(
            lambda net, x: net.last(torch.cat([net.one(x), net.three(x)], 1).relu().mean((2, 3))),
            one=nn.Conv2d(2, 2, 1),
            three=nn.Conv2d(2, 2, 3, padding=1),
            last=nn.Linear(4, 3),
        ),
        IMAGE,
        3,
    ),
    HeldOutModel("sampled-grid", lambda: Formula(_sampled, where=nn.Linear(32, 8), last=nn.Linear(8, 3)), IMAGE, 3),
    HeldOutModel("channel-dropout", lambda: chain(nn.Conv2d(2, 2, 3), nn.Dropout2d(0.5), nn.Tanh(), width=8), IMAGE, 3),
    HeldOutModel("channel-prelu", _pooled(lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.PReLU(3)), 12), IMAGE, 3),
    HeldOutModel(
        "channels-last",
        lambda: Formula(
            lambda net, x: net.chain(x.contiguous(memory_format=torch.channels_last)),
            chain=chain(nn.Conv2d(2, 3, 3), nn.Tanh(), width=12),
        ),
        IMAGE,
        3,
    ),
)
"""Held-out convolutional networks."""

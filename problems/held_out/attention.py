"""Held-out networks with attention, norms over features, and positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from hessbench.problems.held_out.model import Formula, HeldOutModel, tokens, values

SEQUENCE: Final = values(3, 4)


def _mean(net: Any, x: Tensor) -> Tensor:
    """Dense layer of the mean over the positions."""
    return net.last(net.layer(x).mean(1))


def _layer(**options: Any) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(4, 2, 5, batch_first=True, **options)


def _encoder(**options: Any) -> Callable[[], nn.Module]:
    return lambda: Formula(_mean, layer=_layer(**options), last=nn.Linear(4, 3))


def _stacked() -> nn.Module:
    layers = nn.TransformerEncoder(_layer(), 2, enable_nested_tensor=False)
    return Formula(_mean, layer=layers, last=nn.Linear(4, 3))


def _decoded(net: Any, x: Tensor) -> Tensor:
    mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
    return net.last(net.layer(x, x.flip(1), tgt_mask=mask)[:, -1])


def _heads(net: Any, x: Tensor) -> Tensor:
    return net.last(net.layer(x, x, x, need_weights=False)[0].flatten(1))


def _weights(net: Any, x: Tensor) -> Tensor:
    """The weights of attention themselves, head by head."""
    return net.last(net.layer(x, x, x, average_attn_weights=False)[1].flatten(1))


def _masked(net: Any, x: Tensor) -> Tensor:
    mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    return net.last(net.layer(x, x, x, attn_mask=mask)[0].mean(1))


def _padded(net: Any, x: Tensor) -> Tensor:
    """Words of number 0 are padding, but the first."""
    h, unseen = net.words(x), x == 0
    unseen[:, 0] = False
    return net.last(net.layer(h, h, h, key_padding_mask=unseen)[0][:, 0])


def _product(net: Any, x: Tensor) -> Tensor:
    q, k, v = net.qkv(x).chunk(3, dim=2)
    return net.last(nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)[:, -1])


def _by_hand(net: Any, x: Tensor) -> Tensor:
    q, k, v = net.qkv(x).chunk(3, dim=2)
    scores = (q @ k.mT / 2).masked_fill(torch.ones(3, 3, dtype=torch.bool).triu(1), float("-inf"))
    return net.last((scores.softmax(-1) @ v).mean(1))


def _linear(net: Any, x: Tensor) -> Tensor:
    q, k, v = net.qkv(x).chunk(3, dim=2)
    q, k = nn.functional.elu(q) + 1, nn.functional.elu(k) + 1
    return net.last((q @ (k.mT @ v) / (q @ k.sum(1)[:, :, None])).mean(1))


def _rotated(net: Any, x: Tensor) -> Tensor:
    """Positions as rotations of pairs of features."""
    q, k = net.q(x), net.k(x)
    angle = torch.arange(x.shape[1], dtype=x.dtype)[:, None] * torch.tensor([1.0, 0.1], dtype=x.dtype)

    def turned(h: Tensor) -> Tensor:
        a, b = h[..., :2], h[..., 2:]
        return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)

    return net.last(((turned(q) @ turned(k).mT).softmax(-1) @ x).mean(1))


def _waves(net: Any, x: Tensor) -> Tensor:
    """Sines of the positions are added."""
    places = torch.arange(x.shape[1], dtype=x.dtype)[:, None] / torch.tensor([1.0, 1.0, 9.0, 9.0], dtype=x.dtype)
    return net.last(net.layer(x + places.sin()).tanh().flatten(1))


def _places(net: Any, x: Tensor) -> Tensor:
    h = net.words(x) + net.places
    return net.last((net.norm(h) @ h.mT).softmax(-1).flatten(1))


def _class_token(net: Any, x: Tensor) -> Tensor:
    h = torch.cat([net.token.expand(x.shape[0], 1, 4), x], 1)
    return net.last(net.layer(h)[:, 0])


def _mixer(net: Any, x: Tensor) -> Tensor:
    x = x + net.across(net.norm(x).mT).mT
    return net.last((x + net.within(x).relu()).mean(1))


def _language(net: Any, x: Tensor) -> Tensor:
    """Words in and, by the same weights, words out."""
    h = net.words(x).mean(1)
    return (h + net.inner(h).tanh()) @ net.words.weight.T


def _feed(net: Any, x: Tensor) -> Tensor:
    return net.last(nn.functional.silu(net.gate(x)) * net.inner(x))


def _patches(net: Any, x: Tensor) -> Tensor:
    h = net.patch(x).flatten(2).mT + net.places
    return net.last(net.norm(net.layer(h, h, h)[0] + h).mean(1))


def _normal(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(4, 5), make(), nn.Tanh(), nn.Linear(5, 3))


def _with_heads(formula: Callable[[Any, Tensor], Tensor], width: int, **options: Any) -> Callable[[], nn.Module]:
    return lambda: Formula(
        formula, layer=nn.MultiheadAttention(4, 2, batch_first=True, **options), last=nn.Linear(width, 3)
    )


def _with_product(formula: Callable[[Any, Tensor], Tensor]) -> Callable[[], nn.Module]:
    return lambda: Formula(formula, qkv=nn.Linear(4, 12), last=nn.Linear(4, 3))


X: Final = values(4)

ATTENTION_MODELS: Final = (
    HeldOutModel("layer-norm", _normal(lambda: nn.LayerNorm(5)), X, 3),
    HeldOutModel("layer-norm-fixed", _normal(lambda: nn.LayerNorm(5, elementwise_affine=False)), X, 3),
    HeldOutModel("rms-norm", _normal(lambda: nn.RMSNorm(5)), X, 3),
    HeldOutModel("group-norm-dense", _normal(lambda: nn.GroupNorm(1, 5)), X, 3),
    HeldOutModel("encoder", _encoder(), SEQUENCE, 3),
    HeldOutModel("encoder-gelu-norm-first", _encoder(activation="gelu", norm_first=True), SEQUENCE, 3),
    HeldOutModel("encoder-without-bias", _encoder(bias=False), SEQUENCE, 3, samples=2),
    HeldOutModel("encoder-two-layers", _stacked, SEQUENCE, 3, samples=2),
    HeldOutModel(
        "decoder",
        lambda: Formula(_decoded, layer=nn.TransformerDecoderLayer(4, 1, 4, batch_first=True), last=nn.Linear(4, 3)),
        SEQUENCE,
        3,
        samples=2,
    ),
    HeldOutModel("heads", _with_heads(_heads, 12), SEQUENCE, 3),
    HeldOutModel("heads-weights", _with_heads(_weights, 18), SEQUENCE, 3),
    HeldOutModel("heads-masked", _with_heads(_masked, 4), SEQUENCE, 3),
    HeldOutModel("heads-key-bias", _with_heads(_masked, 4, add_bias_kv=True, bias=False), values(3, 4), 3),
    HeldOutModel(
        "heads-padded",
        lambda: Formula(
            _padded, words=nn.Embedding(4, 4), layer=nn.MultiheadAttention(4, 2, batch_first=True),
            last=nn.Linear(4, 3),
        ),
        tokens(4, 3),
        3,
    ),
    HeldOutModel("scaled-product", _with_product(_product), SEQUENCE, 3),
    HeldOutModel("attention-by-hand", _with_product(_by_hand), SEQUENCE, 3),
    HeldOutModel("attention-linear", _with_product(_linear), SEQUENCE, 3),
    HeldOutModel(
        "rotary", lambda: Formula(_rotated, q=nn.Linear(4, 4), k=nn.Linear(4, 4), last=nn.Linear(4, 3)), SEQUENCE, 3
    ),
    HeldOutModel(
        "position-waves", lambda: Formula(_waves, layer=nn.Linear(4, 4), last=nn.Linear(12, 3)), SEQUENCE, 3
    ),
    HeldOutModel(
        "position-table",
        lambda: Formula(
            _places, words=nn.Embedding(5, 3), places=torch.randn(3, 3), norm=nn.LayerNorm(3), last=nn.Linear(9, 3)
        ),
        tokens(5, 3),
        3,
    ),
    HeldOutModel(
        "class-token",
        lambda: Formula(_class_token, token=torch.zeros(4), layer=_layer(), last=nn.Linear(4, 3)),
        SEQUENCE,
        3,
        samples=2,
    ),
    HeldOutModel(
        "mixer",
        lambda: Formula(
            _mixer, norm=nn.LayerNorm(4), across=nn.Linear(3, 3), within=nn.Linear(4, 4), last=nn.Linear(4, 3)
        ),
        SEQUENCE,
        3,
    ),
    HeldOutModel(
        "language", lambda: Formula(_language, words=nn.Embedding(5, 4), inner=nn.Linear(4, 4)), tokens(5, 3), 5
    ),
    HeldOutModel(
        "swish-gate", lambda: Formula(_feed, gate=nn.Linear(4, 4), inner=nn.Linear(4, 4), last=nn.Linear(4, 3)), X, 3
    ),
    HeldOutModel(
        "patches",
        lambda: Formula(
            _patches, patch=nn.Conv2d(2, 4, 2, stride=2), places=torch.randn(4, 4), norm=nn.LayerNorm(4),
            layer=nn.MultiheadAttention(4, 1, batch_first=True), last=nn.Linear(4, 3),
        ),
        values(2, 4, 4),
        3,
        samples=2,
    ),
)  # fmt: skip
"""Held-out networks with attention."""

"""Every engine on networks of odd operations, against dense matrices in float64: products that are wrong in silence.

Run `python tests/campaigns/engines.py`, with `--only NAME` for one network and `--culprits` for the sentences. For each
network, operator and engine it says whether the products are right, and whether the comparison at set-up refuses them;
it ends with counts of those that are wrong, wrong and not refused, and right and refused.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # its usual name
from torch.nn.utils import parametrizations

from hessbench.problems.curvature.engines import comparing, operator
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.user_model.from_model import from_model

CPU = torch.device("cpu")
SAMPLES, CLASSES = 5, 3
WRONG = 1e-6
OPERATORS = ("hessian", "ggn", "residual")
ENGINES = (
    "auto", "rules", "kept-graph", "double-backward", "forward-over-reverse", "reverse-over-forward",
    "jvp-by-double-vjp", "linearised",
)  # fmt: skip


class Of(nn.Module):
    """A network of a function of named modules and an input."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        """Outputs."""
        return self.function(self, x)


class Cube(torch.autograd.Function):
    """x^3 with a backward that torch can differentiate."""

    @staticmethod
    def forward(ctx, x):
        """The cube."""
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, slope):
        """Three squares."""
        (x,) = ctx.saved_tensors
        return 3 * x**2 * slope


class Skew(nn.Module):
    """A parametrisation by the skew part."""

    def forward(self, weight):
        """W - W^T."""
        return weight.triu(1) - weight.triu(1).T


def dense(middle, width=6, **modules):
    """A dense network with something between its layers."""
    return Of(lambda m, x: m.out(middle(m, m.into(x))), into=nn.Linear(4, width), out=nn.Linear(width, CLASSES),
              **modules)  # fmt: skip


def mapped(layer, channels=2, side=4, length=None):
    """A network of one layer on images (m, 1, 4, 4), then a dense one."""
    size = channels * side * side if length is None else length
    return nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(size, CLASSES))


def recurrent(kind, **options):
    """A recurrent network's last state."""
    size = 3 * (2 if options.get("bidirectional") else 1)
    return Of(lambda m, x: m.out(m.rnn(x)[0][:, -1]), rnn=kind(4, 3, batch_first=True, **options),
              out=nn.Linear(size, CLASSES))  # fmt: skip


def slices(m, h):
    """Values written into slices of zeros."""
    del m
    z = torch.zeros_like(h)
    z[:, :3] = h[:, :3].sin()
    z[:, 3:] = h[:, :3] ** 2
    return z


def attention(m, h):
    """One head by hand."""
    del m
    parts = h.view(-1, 3, 2)
    return (torch.softmax(parts @ parts.mT, dim=-1) @ parts).flatten(1)


def transformer(**options):
    """One encoder layer over a sequence."""
    layer = nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, batch_first=True, **options)
    return Of(lambda m, x: m.out(m.layer(x).mean(1)), layer=layer, out=nn.Linear(4, CLASSES)).eval()


def scattered(m, h):
    """A gather and a scatter by the order of the entries."""
    del m
    at = torch.tensor([2, 0, 1, 5, 4, 4]).expand_as(h)
    return torch.zeros_like(h).scatter_add(1, at, h.gather(1, at) ** 2)


def networks():
    """Name, maker of the module, shape of an input, loss."""
    ce, bce, mse = nn.CrossEntropyLoss(), nn.BCEWithLogitsLoss(), nn.MSELoss()
    flat, image, series = (4,), (1, 4, 4), (4, 4)
    orthogonal = parametrizations.orthogonal
    on_flat = {
        "tanh": lambda m, h: h.tanh(),
        "in-place relu": lambda m, h: F.relu_(h + 0),
        "in-place add": lambda m, h: h.sin().add_(h**2),
        "in-place mul": lambda m, h: (h * 1.0).mul_(h.tanh()),
        "slices written": slices,
        "layer norm": lambda m, h: F.layer_norm(h, (6,)).tanh(),
        "rms norm": lambda m, h: F.rms_norm(h, (6,)).tanh(),
        "group norm": lambda m, h: F.group_norm(h, 2).tanh(),
        "softplus": lambda m, h: F.softplus(h),
        "gelu": lambda m, h: F.gelu(h),
        "mish": lambda m, h: F.mish(h),
        "hardswish": lambda m, h: F.hardswish(h),
        "celu": lambda m, h: F.celu(h, 0.7),
        "selu": lambda m, h: F.selu(h),
        "logsigmoid": lambda m, h: F.logsigmoid(h),
        "glu": lambda m, h: torch.cat([F.glu(h), h[:, :3]], 1),
        "cumsum": lambda m, h: h.cumsum(1).tanh(),
        "cumprod": lambda m, h: h.cumprod(1),
        "gather and scatter": scattered,
        "complex": lambda m, h: torch.fft.rfft(h).abs().repeat(1, 2)[:, :6],
        "sort": lambda m, h: h.sort(1).values.sin(),
        "top": lambda m, h: h.topk(3, dim=1).values.repeat(1, 2).sin(),
        "logsumexp": lambda m, h: h.logsumexp(1, keepdim=True) * h,
        "norm": lambda m, h: h * h.norm(dim=1, keepdim=True),
        "normalize": lambda m, h: F.normalize(h).sin(),
        "erf": lambda m, h: torch.erf(h),
        "softmax": lambda m, h: h.softmax(1),
        "attention by hand": attention,
        "einsum": lambda m, h: torch.einsum("mi,mj->mij", h, h).sum(2).tanh(),
        "custom function": lambda m, h: Cube.apply(h),
        "where": lambda m, h: torch.where(h > 0, h**2, h.sin()),
        "clamp": lambda m, h: h.clamp(-0.5, 0.5) * h,
        "roll and flip": lambda m, h: h.roll(1, 1) * h.flip(1),
        "standard deviation": lambda m, h: h / (1 + h.std(1, keepdim=True)),
        "cosine": lambda m, h: h * F.cosine_similarity(h, h.roll(1, 1).sin(), dim=1)[:, None],
        "index put": lambda m, h: h.index_put((torch.tensor([0, 1]),), h[2:4] ** 2) if len(h) > 10 else h * h.sigmoid(),
        "masked fill": lambda m, h: h.masked_fill(h < 0, 0.1) ** 2,
        "cdist": lambda m, h: torch.cdist(h[:, :, None], h[:, :, None].sin() + 3).mean(2),
        "determinant": lambda m, h: h * torch.linalg.det(h[:, :4].view(-1, 2, 2) + 2 * torch.eye(2))[:, None],
    }
    for name, middle in on_flat.items():
        yield name, (lambda middle=middle: dense(middle)), flat, ce
    for name, loss in (("bce", bce), ("mse", mse)):
        yield f"tanh, {name}", lambda: dense(lambda m, h: h.tanh()), flat, loss
        yield f"layer norm, {name}", lambda: dense(lambda m, h: F.layer_norm(h, (6,)).tanh()), flat, loss
    prelu = {"act": nn.PReLU(6)}
    yield "prelu", lambda: dense(lambda m, h: m.act(h), **prelu), flat, ce
    yield "bilinear", lambda: dense(lambda m, h: m.two(h, h.tanh()), two=nn.Bilinear(6, 6, 6)), flat, ce
    yield "tied", lambda: Of(lambda m, x: m.a(m.a(x).tanh())[:, :CLASSES], a=nn.Linear(4, 4)), flat, ce
    for map_ in ("matrix_exp", "cayley", "householder"):
        yield (f"orthogonal, {map_}",
               lambda map_=map_: nn.Sequential(orthogonal(nn.Linear(4, 4), orthogonal_map=map_), nn.Tanh(),
                                               nn.Linear(4, CLASSES)), flat, ce)  # fmt: skip
    yield ("spectral norm", lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 4)), nn.Tanh(),
                                                  nn.Linear(4, CLASSES)).eval(), flat, ce)  # fmt: skip
    yield ("weight norm", lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), nn.Tanh(),
                                                nn.Linear(4, CLASSES)), flat, ce)  # fmt: skip
    layer = nn.Linear(4, 4)
    nn.utils.parametrize.register_parametrization(layer, "weight", Skew())
    yield "skew", lambda: nn.Sequential(layer, nn.Tanh(), nn.Linear(4, CLASSES)), flat, ce
    for mode in ("zeros", "circular", "reflect", "replicate"):
        yield (f"conv, {mode}", lambda mode=mode: mapped(nn.Conv2d(1, 2, 3, padding=1, padding_mode=mode)), image, ce)
    yield ("two circular convs", lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.Tanh(),
        mapped(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"))), image, ce)  # fmt: skip
    grouped = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 3, padding=2, dilation=2, groups=2))
    yield "dilated and grouped", lambda: mapped(grouped), image, ce
    yield "conv transpose", lambda: mapped(nn.ConvTranspose2d(1, 2, 2), side=5), image, ce
    shuffled = nn.Sequential(nn.Conv2d(1, 4, 1), nn.PixelShuffle(2))
    yield "pixel shuffle", lambda: mapped(shuffled, channels=1, side=8), image, ce
    pooled = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.MaxPool2d(2))
    yield "max pool ties", lambda: mapped(pooled, side=2), image, ce
    up = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Upsample(scale_factor=2, mode="bilinear"))
    yield "upsample", lambda: mapped(up, side=8), image, ce
    inst = nn.Sequential(nn.Conv2d(1, 2, 1), nn.InstanceNorm2d(2, affine=True))
    yield "instance norm", lambda: mapped(inst), image, ce
    yield "batch norm", lambda: mapped(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))).eval(), image, ce
    yield "group norm 2d", lambda: mapped(nn.Sequential(nn.Conv2d(1, 2, 1), nn.GroupNorm(2, 2))), image, ce
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        yield kind.__name__, lambda kind=kind: recurrent(kind), series, ce
    yield "LSTM both ways", lambda: recurrent(nn.LSTM, bidirectional=True), series, ce
    yield "transformer", transformer, series, ce
    yield "transformer, gelu", lambda: transformer(activation="gelu", norm_first=True), series, ce
    yield ("attention", lambda: Of(lambda m, x: m.out(m.a(x, x, x, need_weights=False)[0].mean(1)),
                                   a=nn.MultiheadAttention(4, 2, batch_first=True), out=nn.Linear(4, CLASSES)),
           series, ce)  # fmt: skip
    yield ("embedding", lambda: Of(lambda m, x: m.out(m.e((x.abs() * 3).long().clamp(max=6)).mean(1).tanh()),
                                   e=nn.Embedding(7, 4), out=nn.Linear(4, CLASSES)), flat, ce)  # fmt: skip


def matrices(net):
    """Dense Hessian, GGN and residual by backward passes of autograd."""
    H = torch.autograd.functional.hessian(net.objective, net.parameters)
    (batch,) = net.batches
    J = torch.autograd.functional.jacobian(net.on(batch), net.parameters).flatten(0, 1)
    outputs = net.on(batch)(net.parameters).detach()
    bend = torch.autograd.functional.hessian(lambda o: net.loss.total(o, batch.targets), outputs)
    L = bend.reshape(outputs.numel(), outputs.numel()) * net.scale
    G = J.T @ L @ J
    return {"hessian": H, "ggn": G, "residual": H - G}


def run(only, culprits):
    """Print a line for each case that is wrong or refused, and the counts."""
    if not culprits:
        comparing._culprit = lambda *_: "(not looked for)"
    compare = operator.compare
    counts, by_engine = Counter(), Counter()
    for name, make, shape, loss in networks():
        if only is not None and only != name:
            continue
        start = time.perf_counter()
        generator = torch.Generator().manual_seed(1)
        torch.manual_seed(0)
        model = make()
        inputs = torch.randn(SAMPLES, *shape, generator=generator)
        targets = torch.arange(SAMPLES) % CLASSES
        if not isinstance(loss, nn.CrossEntropyLoss):
            targets = F.one_hot(targets, CLASSES).float()
        try:
            net = from_model(model, loss, (inputs, targets), engine="kept-graph").build(CPU, torch.float64).network
            truths = matrices(net)
        except (ValueError, RuntimeError) as failure:
            counts["network refused"] += 1
            print(f"{name}: network refused: {str(failure)[:120]}", flush=True)
            continue
        counts["networks"] += 1
        for matrix in OPERATORS:
            for engine in ENGINES:
                if engine == "jvp-by-double-vjp" and matrix != "ggn":
                    continue
                case(name, net, matrix, engine, truths, compare, counts, by_engine)
        print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
    print(dict(counts))
    print("wrong before the comparison, by engine:", dict(by_engine))


def case(name, net, matrix, engine, truths, compare, counts, by_engine):
    """One product, with the comparison overheard rather than heeded."""
    truth = truths[matrix]
    block = torch.randn(truth.shape[0], 3, generator=torch.Generator().manual_seed(2), dtype=truth.dtype)
    refusals = []

    def spy(*args):
        try:
            compare(*args)
        except comparing.EngineDisagrees as failure:
            refusals.append(str(failure))
            if engine == "auto":
                raise  # it takes another engine

    operator.compare = spy
    try:
        product = curvature_operator(net, matrix, engine).matmat(block)
    except Exception as failure:  # noqa: BLE001  # a refusal of any kind is loud
        counts[f"refused by the engine, {type(failure).__name__}"] += 1
        return
    scale = max(float((truths["hessian"] @ block).norm()), float((truths["ggn"] @ block).norm()))
    error = float((product - truth @ block).norm()) / scale
    wrong, refused = not error < WRONG, refusals[0] if refusals and engine != "auto" else ""
    counts["auto took another engine"] += engine == "auto" and bool(refusals)
    counts["tried"] += 1
    counts["wrong before"] += wrong
    by_engine[engine] += wrong
    counts["wrong after"] += wrong and not refused
    counts["right and refused"] += bool(refused) and not wrong
    if wrong or refused:
        print(f"  {name} | {matrix} | {engine}: error {error:.1e}; {refused or 'NOT REFUSED'}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only")
    parser.add_argument("--culprits", action="store_true")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    run(chosen.only, chosen.culprits)

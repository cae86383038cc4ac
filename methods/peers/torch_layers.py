"""A module rewritten in torch's own layers, for libraries that know no functions: same parameters, same outputs."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError
from typing_extensions import override

_RELU: Final = (torch.relu, nn.functional.relu, "relu")
_TANH: Final = (torch.tanh, nn.functional.tanh, "tanh")
_SIGMOID: Final = (torch.sigmoid, nn.functional.sigmoid, "sigmoid")
_ROUNDING: Final = 1e3
"""Outputs that differ by more than as many roundings of their size are another function's."""


def in_torch_layers(model: nn.Module, inputs: Tensor) -> nn.Module:
    """The module as a graph of torch's own layers that shares its parameters and buffers.

    Functions that a layer of torch stands for become that layer: relu, tanh, sigmoid, and the mean over an image. Batch
    norm of a class of one's own becomes torch's, in its mode.

    Args:
        model: Module whose flow does not depend on data.
        inputs: Some of its inputs, by which the two are compared.

    Raises:
        ValueError: If the module cannot be traced, or the outputs differ.
    """
    # What only says how the module inside is called stands for that; the outputs below tell.
    inner = getattr(model, "inner", None)
    source = inner if isinstance(inner, nn.Module) else model
    try:
        graph = _LayerTracer().trace(source)
    except (TraceError, TypeError, AttributeError, ValueError) as failure:
        raise ValueError(f"the module cannot be rewritten in torch's layers: {failure}") from failure
    twin = fx.GraphModule(source, graph)
    for name, norm in list(twin.named_modules()):
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            twin.set_submodule(name, _plain_norm(norm))
    for node in list(twin.graph.nodes):
        layers = _layers_of(node)
        if not layers:
            continue
        value = node.args[0]
        with twin.graph.inserting_before(node):
            for place, layer in enumerate(layers):
                name = f"{node.name}_layer{place}"
                twin.add_submodule(name, layer)
                value = twin.graph.call_module(name, (value,))
        node.replace_all_uses_with(value)
        twin.graph.erase_node(node)
    twin.recompile()
    _check_equal(model, twin, inputs)
    return twin


class _LayerTracer(fx.Tracer):
    """Traces through everything but layers."""

    @override
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def _layers_of(node: fx.Node) -> list[nn.Module]:
    """The layers that stand for a function, each its own, since libraries keep what went through it; none else."""
    if node.op not in ("call_function", "call_method"):
        return []
    for names, make in ((_RELU, nn.ReLU), (_TANH, nn.Tanh), (_SIGMOID, nn.Sigmoid)):
        if node.target in names:
            return [make()]
    if node.target in (torch.mean, "mean") and _over_an_image(node):
        return [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return []


def _over_an_image(node: fx.Node) -> bool:
    axes: Any = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else ())
    return tuple(axes) in ((2, 3), (-2, -1)) and not node.kwargs.get("keepdim", False)


def _plain_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Module:
    kind = nn.BatchNorm1d if isinstance(norm, nn.BatchNorm1d) else nn.BatchNorm2d
    plain = kind(norm.num_features, eps=norm.eps, momentum=norm.momentum, device=norm.weight.device)
    plain.weight, plain.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers():
        setattr(plain, name, buffer)
    return plain.train(norm.training)


def _check_equal(model: nn.Module, twin: nn.Module, inputs: Tensor) -> None:
    with torch.no_grad():
        before, after = model(inputs), twin(inputs)
    accepted = _ROUNDING * torch.finfo(before.dtype).eps * float(before.abs().max())
    largest = float((before - after).abs().max())
    if not largest <= accepted:
        raise ValueError(f"the module in torch's layers has other outputs: they differ by {largest:.1e}")

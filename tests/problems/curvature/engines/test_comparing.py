"""Engines asked for by name are held against the kept graph before any product is used."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hessbench.problems.curvature.engines import comparing, kept_graph
from hessbench.problems.curvature.engines.choosing import Limits
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.networks.network import Batch
from hessbench.problems.user_model.from_model import from_model

CPU = torch.device("cpu")


def built(model, engine, operator="hessian", loss=None, dtype=torch.float64, inputs=(4,)):
    generator = torch.Generator().manual_seed(0)
    data = (torch.randn(9, *inputs, generator=generator), torch.arange(9) % 3)
    loss = nn.CrossEntropyLoss() if loss is None else loss
    return from_model(model, loss, data, operator=operator, engine=engine).build(CPU, dtype)


def normalised():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 3))


def circular():
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
    return nn.Sequential(conv, nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_engine_that_is_wrong_is_refused_with_the_operation_and_the_remedy(dtype):
    said = r"the engine reverse-over-forward .*layer_norm.*take engine=auto or engine=kept-graph"
    with pytest.raises(ValueError, match=said):
        built(normalised(), "reverse-over-forward", dtype=dtype)
    with pytest.raises(ValueError, match=r"the engine linearised .*conv2d.*take engine=auto"):
        built(circular(), "linearised", "ggn", dtype=dtype, inputs=(1, 2, 2))


def test_what_streams_is_compared_too():
    network_of = built(normalised(), "kept-graph").network
    with pytest.raises(ValueError, match="layer_norm"):
        curvature_operator(network_of, "hessian", "reverse-over-forward", Limits(micro_batch=2))


def test_right_products_that_are_rounding_are_not_refused():
    torch.manual_seed(0)
    net = built(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), "kept-graph").network
    parameters = net.parameters.clone()
    parameters[-3] += 33.0  # the curvature of a certain softmax is rounding
    batch = Batch(net.batches[0].inputs, torch.zeros(9, dtype=torch.int64))
    certain = replace(net, parameters=parameters, batches=(batch,))
    for engine in ("rules", "linearised", "forward-over-reverse", "reverse-over-forward"):
        for dtype in (torch.float32, torch.float64):
            op = curvature_operator(certain.to(CPU, dtype), "hessian", engine)
            assert engine in op.info.engine


def test_an_engine_is_compared_once_and_on_few_samples(network, monkeypatch):
    sizes = []
    make = kept_graph.hessian
    monkeypatch.setattr(kept_graph, "hessian", lambda net, batch: sizes.append(batch.size) or make(net, batch))
    op = curvature_operator(network(), "hessian", "rules")
    op.matmat(torch.ones(op.dim, 3, dtype=op.dtype))
    assert sizes == [comparing.SAMPLES]


def test_an_engine_that_torch_has_no_derivative_for_is_refused_in_a_sentence():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.GLU(), nn.Linear(3, 3))
    said = r"the engine reverse-over-forward cannot multiply with the hessian .*take engine=auto or engine=kept-graph"
    with pytest.raises(ValueError, match=said):
        built(model, "reverse-over-forward")
    assert built(model, "kept-graph").dim == 42

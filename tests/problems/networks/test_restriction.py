"""Blocks: what their texts mean, and that restricted operators are blocks of the whole ones."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hessbench.operators import check_operator, to_dense
from hessbench.problems.curvature.matrices import curvature_operator, example_gradients
from hessbench.problems.networks.linearisation import quiet_transforms
from hessbench.problems.networks.losses import LOSSES
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.networks.restriction import block_index, block_shapes, restricted

SHAPES = {
    "stem.weight": (2, 3),
    "layer1.0.weight": (4,),
    "layer1.0.bias": (),
    "layer1.1.weight": (3,),
    "layer10.weight": (5,),
    "fc.weight": (2, 2),
    "fc.bias": (2,),
}  # 6 + 4 + 1 + 3 + 5 + 4 + 2 = 25

MEANING = {
    "all": (range(25),),
    "stem.weight": (range(6),),
    "stem": (range(6),),
    "layer1.0": (range(6, 11),),
    "layer1": (range(6, 14),),
    "layer1.0.bias": (range(10, 11),),
    "layer10": (range(14, 19),),
    "fc.bias+fc.weight": (range(19, 25),),
    "fc.bias+stem": (range(6), range(23, 25)),
    " fc.bias + stem ": (range(6), range(23, 25)),
    "0:3": (range(3),),
    "3:25:10": (range(3, 25, 10),),
    "0:4+4:6": (range(6),),
    "0:6:2+1:6:2": (range(0, 6, 2), range(1, 6, 2)),
    "20:25:2+stem": (range(6), range(20, 25, 2)),
    "layer1.0+layer1.1+14:25": (range(6, 25),),
}


@pytest.mark.parametrize("block", MEANING)
def test_a_block_means(block):
    assert block_index(block, SHAPES) == MEANING[block]


@pytest.mark.parametrize("block", MEANING)
def test_the_pieces_of_a_block_are_as_long_as_its_index(block):
    size = sum(len(where) for where in block_index(block, SHAPES))
    assert sum(torch.Size(shape).numel() for shape in block_shapes(block, SHAPES).values()) == size


def test_pieces_are_parameters_in_the_order_of_the_vector_and_slices_by_their_text():
    assert block_shapes("fc+layer1.0", SHAPES) == {name: SHAPES[name] for name in
        ("layer1.0.weight", "layer1.0.bias", "fc.weight", "fc.bias")}  # fmt: skip
    assert block_shapes("fc.bias+0:6:2", SHAPES) == {"0:6:2": (3,), "fc.bias": (2,)}


REFUSED = {
    "layer1.2": r"unknown block 'layer1.2' \(did you mean 'layer1",
    "-1:4": "unknown block '-1:4'",
    "fc.wieght": r"unknown block 'fc.wieght' \(did you mean 'fc.weight'",
    "layer": r"unknown block 'layer' \(did you mean 'layer1' or 'layer10'",
    "zzz": r"unknown block 'zzz' \(did you mean 'stem'",
    "": "block '' has a part without a name; accepted: all, a parameter",
    "fc+": "block 'fc\\+' has a part without a name",
    "5:5": "block '5:5' is empty or leaves the vector: .* 0 <= start < stop <= 25",
    "7:3": "block '7:3' is empty",
    "0:26": "block '0:26' is empty or leaves the vector",
    "0:9:0": "step >= 1",
    "5:": "unknown block '5:'",
    "fc+fc": "block 'fc\\+fc' names parameters of 'fc.weight' twice",
    "fc.bias+fc": "names parameters of 'fc.bias' twice",
    "all+fc": "names parameters of 'fc.weight' twice",
    "0:10:3+9:12": "names parameters of '9:12' twice",
}


@pytest.mark.parametrize("block", REFUSED)
def test_a_block_is_refused_in_one_sentence(block):
    with pytest.raises(ValueError, match=REFUSED[block]) as refusal:
        block_index(block, SHAPES)
    assert "\n" not in str(refusal.value)


@pytest.fixture(autouse=True)
def one_thread():
    """Products this small wait for a second thread longer than they take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dense_forward(parameters, inputs):
    W1, b1, W2 = parameters.split([12, 3, 9])
    linear = nn.functional.linear
    return linear(torch.tanh(linear(inputs, W1.view(3, 4), b1)), W2.view(3, 3))


def small_network(loss="cross-entropy", **flags):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (5,), generator=generator)
    parameters = torch.randn(24, generator=generator, dtype=torch.float64)
    batches = (Batch(inputs[:3], labels[:3]), Batch(inputs[3:], labels[3:]))
    return Network(dense_forward, parameters, batches, LOSSES[loss], **flags)


INDICES = {
    "the whole vector": [range(24)],
    "a range": [range(12, 15)],
    "the ends": [range(2), range(20, 24)],
    "ranges out of order": [range(15, 24), range(12)],
    "a range with a step": [range(1, 24, 5)],
    "a range backwards": (range(9, 1, -4),),
    "ranges and steps": [range(3), range(4, 24, 7)],
    "places": torch.tensor([17, 0, 23, 5, 12]),
    "places in 32 bits": torch.tensor([2, 1], dtype=torch.int32),
}
FLAGS = {"vectorised": {}, "traced": {"batched": False}, "looped": {"batched": False, "traced": False}}


def places_of(index):
    return index.long() if isinstance(index, torch.Tensor) else torch.tensor([i for where in index for i in where])


@pytest.mark.parametrize(
    ("operator", "flags"),
    [("hessian", "vectorised"), ("gradient-second-moment", "vectorised"), *(("ggn", flags) for flags in FLAGS)],
)
@pytest.mark.parametrize("index", INDICES)
def test_a_restricted_operator_is_the_block_of_the_whole_one(index, flags, operator):
    network = small_network(**FLAGS[flags])
    places = places_of(INDICES[index])
    whole = to_dense(curvature_operator(network, operator))
    op = curvature_operator(restricted(network, INDICES[index]), operator)
    torch.testing.assert_close(to_dense(op), whole[places][:, places], rtol=0, atol=1e-14)
    check_operator(op, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("index", INDICES)
def test_a_restricted_kernel_sums_over_the_chosen_parameters(index, flags):
    network = small_network(**FLAGS[flags])
    inputs = torch.cat([batch.inputs for batch in network.batches])
    J = torch.autograd.functional.jacobian(lambda q: network.forward(q, inputs), network.parameters)
    J = J[..., places_of(INDICES[index])]
    found = to_dense(curvature_operator(restricted(network, INDICES[index]), "ntk"))
    torch.testing.assert_close(found, torch.einsum("icp,jcp->ij", J, J), rtol=0, atol=1e-13)


@pytest.mark.parametrize("index", INDICES)
def test_a_restricted_network_can_be_differentiated_forwards_and_by_sample(index):
    network = small_network()
    places = places_of(INDICES[index])
    part = restricted(network, INDICES[index])
    batch = network.batches[0]
    weights = torch.ones(3, 3, dtype=torch.float64)
    v = torch.randn(places.numel(), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    full = torch.zeros(24, dtype=torch.float64).index_copy(0, places, v)
    with quiet_transforms():
        columns = example_gradients(network, batch.inputs, weights)[:, places]
        torch.testing.assert_close(example_gradients(part, batch.inputs, weights), columns, rtol=0, atol=1e-14)
        _, pushed = torch.func.jvp(part.on(batch), (part.parameters,), (v,))
        _, expected = torch.func.jvp(network.on(batch), (network.parameters,), (full,))
    torch.testing.assert_close(pushed, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("index", INDICES)
def test_a_restricted_network_moves_to_another_dtype(index):
    part = restricted(small_network(), INDICES[index]).to(torch.device("cpu"), torch.float32)
    assert part.objective(part.parameters).dtype == torch.float32
    expected = small_network().objective(small_network().parameters)
    assert float(part.objective(part.parameters)) == pytest.approx(float(expected), rel=1e-6)


def test_the_whole_vector_is_the_network_itself():
    network = small_network()
    assert restricted(network, block_index("all", {"W": (24,)})) is network


def test_a_block_of_a_block_is_a_block():
    network = small_network()
    whole = to_dense(curvature_operator(network, "hessian"))
    part = restricted(restricted(network, [range(10, 24)]), torch.tensor([3, 1]))
    found = to_dense(curvature_operator(part, "hessian"))
    torch.testing.assert_close(found, whole[[13, 11]][:, [13, 11]], rtol=0, atol=1e-14)


def test_ranges_are_put_together_without_an_indexed_copy():
    part = restricted(replace(small_network(), forward=lambda q, _: q[None]), [range(3), range(8, 10)])
    tracked = part.parameters.clone().requires_grad_()
    node = part.forward(tracked, torch.zeros(1)).grad_fn
    names = set()
    while node is not None:
        names.add(type(node).__name__)
        node = next((before for before, _ in node.next_functions if before is not None), None)
    assert "CatBackward0" in names
    assert not any("Index" in name or "Scatter" in name for name in names)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([], "index takes ranges inside 0:24, at least one"),
        ([range(3, 3)], "none empty"),
        ([range(5), range(4, 9)], "none overlapping"),
        ([range(20, 25)], "inside 0:24"),
        (torch.tensor([], dtype=torch.int64), "at least one"),
        (torch.tensor([1.0]), r"index takes integers of shape \(k,\)"),
        (torch.tensor([True] * 24), "index takes integers"),
        (torch.tensor([1, 1]), "index takes places from 0 to 23, each once"),
        (torch.tensor([-1]), "index takes places from 0 to 23"),
        ([range(0, 26, 5)], "index takes places from 0 to 23"),
    ],
)
def test_an_index_is_refused(index, message):
    with pytest.raises(ValueError, match=message):
        restricted(small_network(), index)

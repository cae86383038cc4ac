"""The grammar of blocks, and operators restricted to them as sub-matrices of the whole."""

import numpy as np
import pytest
import torch

from hessbench.operators import to_dense
from hessbench.problems.blocks import block_index, block_shapes, restricted
from hessbench.problems.curvature import curvature_operator
from hessbench.problems.network import Batch, Network

# Places 0:6, 6:8, 8:14, 14:17, 17:20 of a flat vector of 20.
SHAPES = {"body.0.weight": (2, 3), "body.0.bias": (2,), "body.10.weight": (3, 2), "body.10.bias": (3,), "head": (3,)}


def forward(parameters, inputs):
    W, b, V, c, scale = parameters.split([6, 2, 6, 3, 3])
    return (torch.tanh(inputs @ W.view(2, 3).T + b) @ V.view(3, 2).T + c) * scale


def network():
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    parameters = torch.randn(20, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 1, 0])
    return Network(forward, parameters, (Batch(inputs[:3], labels[:3]), Batch(inputs[3:], labels[3:])))


def places(block):
    return [place for where in block_index(block, SHAPES) for place in where]


BLOCKS = {
    "all": list(range(20)),
    "head": [17, 18, 19],
    "body.0.bias": [6, 7],
    "body": list(range(17)),
    "body.10": list(range(8, 17)),
    "head+body.0.bias": [6, 7, 17, 18, 19],
    " head + body.0.bias ": [6, 7, 17, 18, 19],
    "0:4": [0, 1, 2, 3],
    "2:13:5": [2, 7, 12],
    "19:20": [19],
    "1:6:2+0:6:2": [0, 1, 2, 3, 4, 5],
    "5:7+head": [5, 6, 17, 18, 19],
}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_names_places_of_the_flat_vector(block):
    assert sorted(places(block)) == BLOCKS[block]
    assert sum(int(np.prod(shape)) for shape in block_shapes(block, SHAPES).values()) == len(BLOCKS[block])


def test_a_module_is_no_prefix_of_another_name():
    assert places("body.0+body.10") == list(range(17))
    with pytest.raises(ValueError, match="unknown block 'body.1'"):
        block_index("body.1", SHAPES)


def test_neighbours_are_one_range():
    assert block_index("body.0.bias+body.0.weight+body.10", SHAPES) == (range(17),)


def test_the_shapes_of_a_block_come_in_the_order_of_the_vector():
    assert list(block_shapes("head+body.0.weight+6:8", SHAPES).items()) == [
        ("body.0.weight", (2, 3)), ("6:8", (2,)), ("head", (3,)),
    ]  # fmt: skip


@pytest.mark.parametrize("operator", ["hessian", "ggn", "gradient-second-moment"])
@pytest.mark.parametrize("block", BLOCKS)
def test_a_restricted_operator_is_the_sub_matrix(block, operator):
    whole = to_dense(curvature_operator(network(), operator))
    index = places(block)
    part = to_dense(curvature_operator(restricted(network(), block_index(block, SHAPES)), operator))
    torch.testing.assert_close(part, whole[index][:, index])


@pytest.mark.parametrize("index", [torch.tensor([9, 2, 17]), (range(17, 20), range(2, 4)), (range(9, 1, -4),)])
def test_an_index_keeps_its_own_order(index):
    listed = index.tolist() if isinstance(index, torch.Tensor) else [place for where in index for place in where]
    whole = to_dense(curvature_operator(network(), "hessian"))
    part = to_dense(curvature_operator(restricted(network(), index), "hessian"))
    torch.testing.assert_close(part, whole[listed][:, listed])


def test_the_ntk_of_a_block_sums_over_its_parameters_alone():
    parts = [to_dense(curvature_operator(restricted(network(), block_index(block, SHAPES)), "ntk"))
             for block in ("body", "head")]  # fmt: skip
    torch.testing.assert_close(sum(parts), to_dense(curvature_operator(network(), "ntk")))


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("hed", "unknown block 'hed' (did you mean 'head'?); accepted: all, a parameter, a module, start:stop"),
        ("body.0.wieght", "did you mean 'body.0.weight' or"),
        ("bodi", "did you mean 'body'"),
        ("zzz", "unknown block 'zzz' (did you mean 'body' or 'body.0' or 'body.0.weight'?)"),
        ("", "has a part without a name"),
        ("head++body", "has a part without a name"),
        ("3:3", "'3:3' is empty or leaves the vector"),
        ("5:3", "is empty or leaves the vector"),
        ("0:21", "0 <= start < stop <= 20"),
        ("0:4:0", "step >= 1"),
        ("-1:4", "unknown block '-1:4'"),
        ("head+head", "names parameters of 'head' twice"),
        ("body+0:1", "twice: name each once"),
        ("all+head", "twice"),
    ],
)
def test_what_is_no_block_is_refused_with_the_nearest_name(block, says):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the text is compared below, without escapes
        block_index(block, SHAPES)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "index",
    [(), (range(3, 3),), (range(18, 21),), (range(4), range(3, 6)), torch.tensor([], dtype=torch.int64),
     torch.tensor([1, 1]), torch.tensor([20]), torch.tensor([-1]), torch.tensor([0.0]), torch.tensor([True])],
)  # fmt: skip
def test_an_index_outside_or_twice_is_refused(index):
    with pytest.raises(ValueError, match="index takes"):
        restricted(network(), index)

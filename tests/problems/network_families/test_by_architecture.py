"""The network families: what they are, how they are trained and restricted, and what they say where they cannot be."""

import json
import math
import re
import shlex

import numpy as np
import pytest
import torch

from hessbench.estimand import Density, Source, TopEigenvalues, Trace
from hessbench.operators import check_operator, to_dense
from hessbench.problem import FACTOR, NETWORK, PSD
from hessbench.problems import PROBLEMS
from hessbench.problems.curvature.matrices import BY_OUTPUT, OPERATORS
from hessbench.problems.network_families.by_architecture import mlp_problem
from hessbench.problems.network_families.weights_source import Weights
from hessbench.problems.references.shipped import FOLDER
from hessbench.problems.training.store import training_key
from hessbench.registry import Registry

CPU = torch.device("cpu")
FAMILIES = Registry("problem", PROBLEMS)
SMALL = "mlp[per_class=2,weights=random,widths=3"


def problem_of(spec):
    return FAMILIES.entry_of(spec).problem(spec)


def dense_of(spec):
    return to_dense(problem_of(spec).build(CPU, torch.float64))


@pytest.mark.parametrize(
    ("spec", "dim"),
    [
        ("mlp", 64 * 32 + 32 + 32 * 10 + 10),
        ("mlp[data=mnist,widths=128-128]", 118_282),
        ("cnn-3c3d[data=cifar10]", 895_210),
        ("all-cnn-c[data=cifar100]", 1_387_108),
        ("resnet18[data=cifar10]", 11_173_962),
        ("vgg11-bn", 28_157_706),
        ("vgg16[data=cifar100]", 15_291_300),
        ("mlp[operator=ntk,per_class=7]", 70),
        ("mlp[operator=gram,per_class=7]", 700),
        ("mlp[block=fc2]", 330),
        ("mlp[block=fc1.bias+fc2.bias]", 42),
        ("mlp[block=0:100:3]", 34),
        ("cnn-3c3d[block=fc3]", 2570),
    ],
)
def test_the_dimension_is_known_before_anything_is_built(spec, dim):
    problem = problem_of(spec)
    assert problem.dim == dim
    if "operator" not in spec:
        assert sum(math.prod(shape) for shape in problem.shapes.values()) == dim


@pytest.mark.parametrize("operator", OPERATORS)
def test_traits_say_what_the_operator_is(operator):
    problem = problem_of(f"{SMALL},operator={operator}]")
    assert NETWORK in problem.traits
    assert (PSD in problem.traits) == (operator not in ("hessian", "residual"))
    factored = operator in ("ggn", "monte-carlo-fisher")
    assert (FACTOR in problem.traits) == factored == hasattr(problem.build(CPU, torch.float32), "factor")
    check_operator(problem.build(CPU, torch.float32), torch.Generator().manual_seed(0))
    smallest = float(torch.linalg.eigvalsh(dense_of(problem.name)).min())
    assert (smallest >= -1e-12) == (PSD in problem.traits)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_references_are_those_of_the_dense_operator(operator, loss):
    problem = problem_of(f"{SMALL},operator={operator},loss={loss}]")
    truth = np.linalg.eigvalsh(to_dense(problem.build(CPU, torch.float64)).numpy())
    slack = 1e-12 * np.abs(truth).max()
    assert problem.references[Trace](Trace()).arrays["trace"][0] == pytest.approx(truth.sum(), abs=problem.dim * slack)
    top = problem.references[TopEigenvalues](TopEigenvalues(3))
    assert top.source in (Source.DENSE, Source.GRAM)
    np.testing.assert_allclose(np.abs(top.arrays["eigenvalues"]), np.sort(np.abs(truth))[::-1][:3], atol=slack)
    density = problem.references[Density](Density())
    assert density.arrays["nodes"] @ density.arrays["weights"] == pytest.approx(truth.mean(), abs=slack)


@pytest.mark.parametrize("operator", [operator for operator in OPERATORS if operator not in BY_OUTPUT])
@pytest.mark.parametrize("block", ["fc2", "fc1.bias+fc2.weight", "5:40:7"])
def test_a_block_is_the_block_of_the_whole_matrix(operator, block):
    whole = problem_of(f"{SMALL},operator={operator}]")
    part = problem_of(f"{SMALL},operator={operator},block={block}]")
    index = torch.arange(whole.dim)
    places = {"5:40:7": index[5:40:7]}.get(block)
    if places is None:
        pieces = whole.split(index)
        places = torch.cat(
            [piece.flatten() for name, piece in pieces.items() if name.startswith(tuple(block.split("+")))]
        )
    expected = dense_of(whole.name)[places][:, places]
    torch.testing.assert_close(dense_of(part.name), expected, rtol=0, atol=1e-13)
    assert part.hash != whole.hash


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_sum_is_the_mean_times_the_number_of_samples_but_for_the_kernel(operator):
    mean, summed = (dense_of(f"{SMALL},operator={operator},reduction={word}]") for word in ("mean", "sum"))
    factor = 1 if operator == "ntk" else 20
    torch.testing.assert_close(summed, factor * mean, rtol=0, atol=1e-14 * factor)


@pytest.mark.parametrize("operator", ["hessian", "ggn"])
def test_weight_decay_is_added_to_the_diagonal_and_to_the_references(operator):
    plain = problem_of(f"{SMALL},operator={operator}]")
    decayed = problem_of(f"{SMALL},operator={operator},weight_decay=0.25]")
    expected = dense_of(plain.name) + 0.25 * torch.eye(plain.dim, dtype=torch.float64)
    torch.testing.assert_close(dense_of(decayed.name), expected, rtol=0, atol=1e-15)
    assert FACTOR not in decayed.traits
    assert (PSD in decayed.traits) == (PSD in plain.traits)
    assert decayed.hash != plain.hash
    values = torch.linalg.eigvalsh(expected).numpy()
    top = decayed.references[TopEigenvalues](TopEigenvalues(3)).arrays["eigenvalues"]
    np.testing.assert_allclose(np.abs(top), np.sort(np.abs(values))[::-1][:3], atol=1e-13)
    trace = decayed.references[Trace](Trace()).arrays
    assert trace["trace"][0] == pytest.approx(values.sum(), rel=1e-12)
    assert trace["abs_sum"][0] == pytest.approx(np.abs(values).sum(), rel=1e-12)


@pytest.mark.parametrize("spec", ["mlp", "resnet18", "resnet20-cifar10"])
def test_parameters_at_their_defaults_leave_the_name_as_it_was(spec):
    extra = "reduction=mean,weight_decay=0,mc_samples=1,seed=0" + ("" if spec == "mlp" else ",norm=eval")
    assert problem_of(f"{spec}[{extra}]").name == spec
    assert FAMILIES.entry_of(spec).canonical(f"{spec}[{extra}]") == spec


def test_names_carry_what_differs_from_the_defaults():
    spec = "mlp[mc_samples=3,operator=monte-carlo-fisher,reduction=sum,seed=4]"
    assert problem_of(spec).name == spec
    assert problem_of("mlp[weight_decay=1]").name == "mlp[weight_decay=1.0]"


def test_draws_of_the_fisher_matrix_are_those_of_the_seed_in_products_and_references():
    spec = f"{SMALL},operator=monte-carlo-fisher,mc_samples=2"
    first, other = problem_of(f"{spec}]"), problem_of(f"{spec},seed=1]")
    for problem in (first, other):
        truth = np.linalg.eigvalsh(dense_of(problem.name).numpy()).sum()
        assert problem.references[Trace](Trace()).arrays["trace"][0] == pytest.approx(truth, rel=1e-12)
    assert not torch.allclose(dense_of(first.name), dense_of(other.name))


@pytest.mark.slow
@pytest.mark.parametrize("operator", ["hessian", "ggn"])
def test_batch_norm_on_the_batch_is_another_matrix_and_leaves_the_statistics(operator, monkeypatch):
    seen = []
    original = Weights.state

    def state(self, *args, **kwargs):
        found = original(self, *args, **kwargs)
        seen.append((found, {name: value.clone() for name, value in found.items()}))
        return found

    monkeypatch.setattr(Weights, "state", state)
    spec = f"resnet18[block=layer4.1.bn2,operator={operator},per_class=1,weights=random"
    evaluated, trained = (problem_of(f"{spec}{norm}]") for norm in ("", ",norm=train"))
    block = torch.eye(trained.dim)[:, :1]
    products = [problem.build(CPU, torch.float32).matmat(block) for problem in (evaluated, trained)]
    assert trained.dim == 1024
    assert FACTOR not in trained.traits
    assert float((products[0] - products[1]).norm()) > 0.1 * float(products[0].norm())
    assert seen
    for found, before in seen:
        assert all(torch.equal(found[name], value) for name, value in before.items())


def test_vectors_come_back_in_the_shapes_of_the_parameters():
    problem = problem_of("mlp[widths=3]")
    pieces = problem.split(torch.arange(float(problem.dim)))
    assert {name: tuple(piece.shape) for name, piece in pieces.items()} == {
        "fc1.weight": (3, 64), "fc1.bias": (3,), "fc2.weight": (10, 3), "fc2.bias": (10,),
    }  # fmt: skip
    assert torch.cat([piece.flatten() for piece in pieces.values()]).equal(torch.arange(float(problem.dim)))
    assert problem.split(torch.zeros(problem.dim, 2))["fc2.weight"].shape == (10, 3, 2)
    with pytest.raises(ValueError, match=r"a vector \(235,\) or a block \(235, k\) is needed, got \(234,\)"):
        problem.split(torch.zeros(234))


def test_training_lowers_the_loss_and_its_steps_differ():
    found = []
    for step in (0, 10, 100):
        network = mlp_problem(widths="8", step=step)
        trace = float(to_dense(network.build(CPU, torch.float32)).trace())
        found.append((network.hash, trace))
    assert len({problem_hash for problem_hash, _ in found}) == 3
    assert mlp_problem(widths="8", step=0).hash == mlp_problem(widths="8", step=0).hash


def test_trained_weights_are_made_once_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path))
    first = mlp_problem(widths="4", step=10).hash
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}
    assert files
    assert mlp_problem(widths="4", step=10).hash == first
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")} == files


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("mlp[data=svhn]", "data must be one of digits"),
        ("mlp[widths=8-x]", "widths must be integers between 1 and 200000 joined by hyphens, as in 128-128, got '8-x'"),
        ("mlp[activation=gelu]", "activation must be one of tanh, relu"),
        ("mlp[per_class=0]", "per_class must be between 1"),
        ("mlp[split=valid]", "split must be one of train, test"),
        ("mlp[weights=mine.pt]", "weights must be trained, random, or a file NAME.npz or NAME.safetensors"),
        ("mlp[step=1001]", "mlp: step must be between 0 and 1000, got 1001"),
        ("mlp[recipe=steps:50,step=51]", "mlp: step must be between 0 and 50, got 51"),
        ("mlp[run=-1]", "mlp: run must be between 0 and 1000000, got -1"),
        ("mlp[train_per_class=0]", "mlp: train_per_class must be between 1 and 10000, got 0"),
        ("mlp[recipe=sgd]", "mlp: recipe must be built-in, or changes of it joined by"),
        ("mlp[recipe=momentum:1]", "mlp: recipe: momentum must be in [0, 1), got 1"),
        ("mlp[recipe=steps:5,weights=random]", "recipe belongs to weights=trained, got weights=random"),
        ("mlp[step=10,weights=random]", "step belongs to weights=trained, got weights=random"),
        ("mlp[loss=hinge]", "loss must be one of cross-entropy, squared"),
        ("mlp[operator=fisher]", "operator must be one of hessian, ggn, residual, gradient-second-moment, "),
        ("mlp[reduction=total]", "mlp: reduction must be one of mean, sum, got 'total'"),
        ("mlp[weight_decay=-1]", "mlp: weight_decay must be between 0 and 1000000.0, got -1.0"),
        ("mlp[operator=ntk,weight_decay=0.1]", "weight_decay belongs to operator=hessian or ggn, got operator=ntk"),
        ("mlp[mc_samples=2]", "mc_samples and seed belong to operator=monte-carlo-fisher, got operator=hessian"),
        ("mlp[mc_samples=0,operator=monte-carlo-fisher]", "mlp: mc_samples must be between 1 and 1000, got 0"),
        ("mlp[operator=monte-carlo-fisher,seed=-2]", "mlp: seed must be between 0 and 2147483647, got -2"),
        ("mlp[norm=train]", "mlp has no parameter 'norm'"),
        ("resnet18[norm=instance]", "resnet18: norm must be one of eval, train, got 'instance'"),
        ("vgg16[norm=train]", "vgg16: norm=train belongs to networks with batch norm, which this one has not"),
        ("resnet18[norm=train,operator=ntk]", "norm=train makes the batch one group, and operator=ntk needs every "),
        ("mlp[block=fc9]", "unknown block 'fc9'"),
        ("mlp[block=0:999999]", "leaves the vector"),
        ("resnet18[width=3]", "no parameter 'width'"),
    ],
)
def test_a_parameter_out_of_range_is_one_sentence(spec, says):
    with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as caught:
        problem_of(spec)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_absent_data_are_a_reason_with_a_remedy(name, tmp_path, monkeypatch):
    monkeypatch.delenv("HESSBENCH_DATA", raising=False)
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path))
    reason = problem_of(f"mlp[data={name}]").unavailable()
    assert reason is not None
    assert "HESSBENCH_DATA" in reason
    assert str(tmp_path) not in reason


def test_weights_that_take_long_to_train_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path))
    reason = problem_of("cnn-3c3d").unavailable()
    assert reason == "its weights are not trained yet: run `hessbench train 'cnn-3c3d'`, or use weights=random"
    assert problem_of("cnn-3c3d[weights=random]").unavailable() is None
    assert problem_of("cnn-3c3d[step=0]").unavailable() is None
    assert problem_of("mlp").unavailable() is None


def test_the_command_that_is_printed_trains_the_weights_that_are_missing(tmp_path, monkeypatch):
    """The key of what it would train is the key of what the problem looks for."""
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path))

    def key(weights):
        samples = weights.samples
        return training_key(weights.architecture, weights.initial, samples.inputs, samples.labels, weights.recipe)

    for spec in (
        "mlp[activation=relu,data=digits-7x7,operator=ggn,per_class=3,widths=1024-1024]",
        "mlp[loss=squared,weight_decay=0.5,widths=1000-1000]",
        "cnn-3c3d[data=digits-7x7,loss=squared,step=100]",
        "all-cnn-c[block=conv1,data=digits-7x7]",
        "vgg11-bn[data=digits-7x7,norm=train]",
    ):
        problem = problem_of(spec)
        reason = problem.unavailable()
        assert reason is not None
        (command,) = re.findall("`(.*?)`", reason)
        program, verb, name = shlex.split(command)
        assert (program, verb) == ("hessbench", "train")
        named = problem_of(name)
        assert named.train is not None
        assert key(named.train.__self__) == key(problem.train.__self__)


def test_weights_of_a_file_are_read_from_the_folder_of_data(tmp_path, monkeypatch):
    source = Weights("mlp 3 tanh", "mlp", FAMILIES_MLP, (1, 8, 8), "digits", "cross-entropy", "random", widths=(3,))
    state = source.state()
    np.savez(tmp_path / "mine.npz", **{name: value.numpy() for name, value in state.items()})
    monkeypatch.setenv("HESSBENCH_DATA", str(tmp_path))
    ours = problem_of("mlp[weights=mine.npz,widths=3]")
    assert ours.unavailable() is None
    torch.testing.assert_close(dense_of(ours.name), dense_of("mlp[weights=random,widths=3]"))
    other = problem_of("mlp[weights=mine.npz,widths=4]")
    with pytest.raises(ValueError, match=r"mine\.npz for mlp 4 tanh.*shape"):
        other.build(CPU, torch.float32)
    missing = problem_of("mlp[weights=absent.safetensors,widths=3]").unavailable()
    assert missing is not None
    assert missing.startswith("absent.safetensors is not in the folder named by HESSBENCH_DATA")


def FAMILIES_MLP(shape, classes):  # noqa: N802 -- stands for the constructor
    from hessbench.problems.networks.architectures.mlp import mlp

    return mlp(shape, classes, widths=(3,))


@pytest.mark.parametrize(("size", "widths"), [(10**3, "11-11"), (10**5, "280-280"), (10**7, "3125-3125")])
def test_the_ladder_keeps_the_depth(size, widths):
    ladder = mlp_problem(widths="60-60", weights="random").ladder
    assert ladder is not None
    rung = ladder(size)
    assert f"widths={widths}" in rung.name
    assert abs(rung.dim - size) < 0.1 * size


def test_one_hidden_layer_reaches_ten_million_parameters():
    ladder = mlp_problem(data="mnist-7x7", weights="random").ladder
    assert ladder is not None
    assert abs(ladder(10**7).dim - 10**7) <= 60  # parameters of a unit


NAMED = {
    "mlp[per_class=2,weights=random,widths=3]": "mlp[engine=kept-graph,per_class=2,weights=random,widths=3]",
    "digits-mlp[step=0,width=2]": "digits-mlp[engine=kept-graph,step=0,width=2]",
}


@pytest.mark.parametrize("plain", NAMED)
def test_an_engine_that_is_named_makes_another_problem_with_the_same_references(plain):
    problem, named = problem_of(plain), problem_of(NAMED[plain])
    assert problem_of(plain.replace("]", ",engine=auto]")).hash == problem.hash
    assert (problem.name, named.name) == (plain, NAMED[plain])
    assert named.hash != problem.hash
    assert named.fingerprint() == problem.fingerprint()
    assert named.build(CPU, torch.float32).info.engine.startswith("kept-graph, ")
    assert "auto of" in problem.build(CPU, torch.float32).info.engine
    for estimand in (Trace(), TopEigenvalues(k=2)):
        own, other = (one.references[type(estimand)](estimand) for one in (problem, named))
        assert all(np.array_equal(own.arrays[key], other.arrays[key]) for key in own.arrays)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("mlp[engine=fast]", "mlp: engine must be one of auto, rules, kept-graph, double-backward, "),
        ("digits-mlp[engine=fast]", "digits-mlp: engine must be one of auto, rules, kept-graph, double-backward, "),
        ("resnet20-cifar10[engine=fast]", "resnet20-cifar10: engine must be one of auto, rules, kept-graph, "),
        ("mlp[operator=ntk,engine=rules]", "mlp: engine must be one of auto, got 'rules'"),
        ("mlp[engine=jvp-by-double-vjp]", "mlp: engine must be one of auto, rules, kept-graph, double-backward, "),
    ],
)
def test_an_engine_that_does_not_fit_is_refused_with_those_that_do(spec, said):
    with pytest.raises(ValueError, match=said):
        problem_of(spec)


def test_adding_engines_left_names_and_hashes_as_they_were():
    # Of the shipped references, made before there were engines.
    stored = json.loads((FOLDER / "mlp(widths=64-64).json").read_text(encoding="utf-8"))
    assert problem_of("mlp[widths=64-64]").hash == stored["problem_hash"]


def test_a_run_a_recipe_and_a_step_of_ones_own_are_other_weights_of_the_same_network(tmp_path, monkeypatch):
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path))
    told = "per_class=2,widths=3,recipe=steps:20"
    specs = [
        f"mlp[{told}]", f"mlp[{told},run=1]", f"mlp[{told},step=7]", f"mlp[{told},train_per_class=50]",
        f"mlp[{told}+momentum:0]", f"mlp[{told}+optimiser:adam+rate:0.01]", f"mlp[{told},run=1,step=0]",
        "mlp[per_class=2,widths=3,weights=random]", "mlp[per_class=2,widths=3,weights=random,run=1]",
    ]  # fmt: skip
    problems = [problem_of(spec) for spec in specs]
    assert {problem.dim for problem in problems} == {64 * 3 + 3 + 3 * 10 + 10}
    hashes = [problem.hash for problem in problems]
    assert len(set(hashes[:7])) == 7
    # A run's untrained state is the one that its training starts from.
    start, untrained = dense_of(specs[6]), dense_of(specs[8])
    torch.testing.assert_close(start, untrained, rtol=0, atol=1e-12)
    assert float((start - dense_of(specs[7])).abs().max()) > 1e-3
    assert [problem_of(spec).hash for spec in specs[:4]] == hashes[:4]


def test_a_step_without_a_name_is_one_of_the_same_training(tmp_path, monkeypatch):
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path))
    short, long = (dense_of(f"mlp[per_class=2,widths=3,recipe=steps:{steps},step=7]") for steps in (7, 20))
    torch.testing.assert_close(short, long, rtol=0, atol=1e-12)


def test_epochs_need_as_many_images_as_they_are_counted_in():
    assert problem_of("mlp[recipe=epochs:2,train_per_class=50,step=14]").dim == 2410
    with pytest.raises(ValueError, match="step must be between 0 and 14, got 15"):
        problem_of("mlp[recipe=epochs:2,train_per_class=50,step=15]")
    with pytest.raises(ValueError, match="with epochs, train_per_class must be at most that, got 1000"):
        problem_of("mlp[recipe=epochs:2]").build(CPU, torch.float32)

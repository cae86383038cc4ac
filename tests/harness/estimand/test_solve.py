"""The solution of a damped system: one right-hand side for all, errors against algebra, references two ways."""

import numpy as np
import pytest
import torch

from hessbench.catalog import load_catalog
from hessbench.cells.cell import Cell
from hessbench.cells.execute import execute
from hessbench.estimand import Solve, Source, parse_estimand
from hessbench.estimand.from_dense import dense_references
from hessbench.estimand.solve import damping_of, refined_solution, solve_reference
from hessbench.ledger.record import Status
from hessbench.operators import dense_operator, to_dense
from hessbench.problem import Problem

CATALOG = load_catalog()


def matrix(values, seed=0):
    Q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values), len(values))))
    return (Q * np.asarray(values)) @ Q.T


def scored(estimand, A, x, dtype="float64"):
    """Errors of x, its residual observed as in a cell."""
    reference = dense_references(lambda: A)[Solve](estimand)
    op = dense_operator(torch.as_tensor((A + A.T) / 2))
    b = torch.as_tensor(estimand.right_side(len(A)))
    arrays = estimand.to_arrays(x, len(A)) | estimand.observed(x, op, {"b": b})
    return estimand.errors(arrays, reference, dtype), reference


def test_errors_are_those_of_the_definitions():
    A, estimand = matrix(np.geomspace(1, 1e-3, 30)), Solve(0.01)
    b, M = estimand.right_side(30), A + 0.01 * np.eye(30)
    truth = np.linalg.solve(M, b)
    x = truth + 0.1 * np.random.default_rng(1).standard_normal(30)
    found, _ = scored(estimand, A, x)
    e = x - truth
    assert found["relative_norm"] == pytest.approx(np.linalg.norm(e) / np.linalg.norm(truth), rel=1e-10)
    assert found["residual"] == pytest.approx(np.linalg.norm(M @ e) / np.linalg.norm(b), rel=1e-10)
    assert found["energy"] == pytest.approx(np.sqrt(e @ M @ e / (truth @ M @ truth)), rel=1e-10)
    assert set(found) == set(Solve.definitions)


def test_zero_scores_one_by_every_error_and_the_truth_none():
    A, estimand = matrix(np.geomspace(1, 1e-3, 30)), Solve(0.01)
    assert scored(estimand, A, np.zeros(30))[0] == pytest.approx(dict.fromkeys(Solve.definitions, 1.0), rel=1e-12)
    found, reference = scored(estimand, A, np.linalg.solve(A + 0.01 * np.eye(30), estimand.right_side(30)))
    assert max(found.values()) < 1e-12
    assert found["relative_norm"] <= estimand.floor(reference, "float64") < 1e-12
    assert estimand.floor(reference, "float32") == pytest.approx(10 * 2.0**-23 * 1.01 / 0.011, rel=1e-3)


def test_an_indefinite_system_has_no_energy_norm():
    A = matrix([2.0, 1.0, -0.5])
    found, reference = scored(Solve(0.1), A, np.zeros(3))
    assert set(found) == {"relative_norm", "residual"}
    assert reference.arrays["least"] == pytest.approx([0.4])


@pytest.mark.parametrize(
    ("values", "damping"), [([1.0, 0.0, 2.0], 0.0), ([1.0, -0.5, 2.0], 0.5), ([0.0], 0.0), ([1e-17, 1.0], 0.0)]
)
def test_a_singular_system_has_no_reference(values, damping):
    with pytest.raises(ValueError, match=r"is singular, .* a damping that moves every eigenvalue away from 0"):
        scored(Solve(damping), matrix(values), np.zeros(len(values)))


@pytest.mark.parametrize("spec", ["spectrum[n=60,name=linear]", "student-t[n=60]", "spectrum[n=1,name=power-law]"])
def test_a_rotated_spectrum_has_the_reference_of_its_dense_matrix(spec):
    problem, estimand = CATALOG.problem(spec), Solve(0.3, instance=2)
    found = problem.references[Solve](estimand)
    A = to_dense(problem.build(torch.device("cpu"), torch.float64)).numpy()
    expected = dense_references(lambda: (A + A.T) / 2)[Solve](estimand)
    assert (found.source, expected.source) == (Source.ANALYTIC, Source.DENSE)
    gap = np.linalg.norm(found.arrays["solution"] - expected.arrays["solution"])
    allowed = estimand.floor(found, "float64") + estimand.floor(expected, "float64")
    assert gap <= allowed * np.linalg.norm(expected.arrays["solution"])
    for name in ("least", "size"):
        assert found.arrays[name] == pytest.approx(expected.arrays[name], rel=1e-9)


def test_refinement_leaves_the_rounding_of_a_hilbert_matrix_behind():
    n = 8
    H = 1.0 / (1 + np.add.outer(np.arange(n), np.arange(n)))
    truth = np.arange(1.0, n + 1)
    b = np.asarray(H.astype(np.longdouble) @ truth.astype(np.longdouble), dtype=np.float64)
    x, off = refined_solution(H, b)
    # b is rounded: the condition number, 1.5e10, times half an eps is left.
    assert np.linalg.norm(x - truth) <= 1.5e10 * 2.0**-53 * np.linalg.norm(truth)
    assert off <= 2.0**-52
    assert refined_solution(H, np.zeros(n))[1] == 0.0


def test_every_method_dtype_and_repeat_has_the_same_right_hand_side():
    b = Solve(1.0).right_side(1000)
    assert np.array_equal(b, Solve(2.0).right_side(1000))
    assert np.array_equal(b, b.astype(np.float32).astype(np.float64))
    assert not np.allclose(b, Solve(1.0, instance=1).right_side(1000))
    assert abs(b.mean()) < 5 / 1000**0.5
    assert abs(b.std() - 1) < 5 / 2000**0.5


def test_gradients_are_right_hand_sides_of_a_network_and_refused_elsewhere():
    problem = CATALOG.problem("mlp[data=digits,per_class=2,step=0,widths=2]")
    network = problem.network().to(torch.device("cpu"), torch.float64)
    gradient = Solve(1.0, "gradient").right_side(problem.dim, problem.network)
    assert np.allclose(gradient, network.gradient().numpy(), atol=1e-15)
    # The objective is the mean over the samples.
    each = [Solve(1.0, "example", place).right_side(problem.dim, problem.network) for place in range(20)]
    assert np.allclose(np.mean(each, axis=0), gradient, atol=1e-14)
    reference = problem.references[Solve](Solve(1.0, "example", 3))
    assert np.linalg.norm(each[3]) == pytest.approx(reference.arrays["size"][0], rel=1e-12)
    with pytest.raises(ValueError, match="a sample from 0 to 19 is accepted, got 20"):
        Solve(1.0, "example", 20).right_side(problem.dim, problem.network)
    with pytest.raises(ValueError, match="needs a problem that is made of a network"):
        Solve(1.0, "gradient").right_side(10)
    with pytest.raises(ValueError, match="one for each parameter"):
        Solve(1.0, "gradient").right_side(10, problem.network)
    plain = CATALOG.method("cg", Solve(1.0, "gradient")).skip_reason(CATALOG.problem("spectrum"))
    assert plain == "solve[damping=1.0,rhs=gradient] needs a problem that is made of a network, which spectrum is not"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("solve", "needs the parameter 'damping'"),
        ("solve[damping=-1]", "at least 0"),
        ("solve[damping=much]", "takes a number"),
        ("solve[damping=true]", "takes a number"),
        ("solve[damping=1,rhs=ones]", "normal, gradient or example"),
        ("solve[damping=1,instance=-1]", "at least 0"),
        ("solve[damping=1,instance=1,rhs=gradient]", "instance must be"),
    ],
)
def test_a_system_that_is_not_accepted_is_named(text, says):
    with pytest.raises(ValueError, match="solve") as caught:
        parse_estimand(text)
    assert says in str(caught.value)


def test_a_damping_has_one_text_and_is_a_share_of_a_norm_to_three_digits():
    assert parse_estimand("solve[damping=1]").spec == "solve[damping=1.0]"
    assert parse_estimand("solve[damping=1e-05,rhs=normal]").spec == "solve[damping=1e-05]"
    assert damping_of(1.3818646, 1e-5) == 1.38e-05
    with pytest.raises(ValueError, match="norm must be finite and above 0, got 0"):
        damping_of(0.0, 1e-3)


def test_a_right_hand_side_of_zero_is_solved_by_zero():
    estimand = Solve(0.5)
    reference = solve_reference(estimand, np.zeros(3), np.zeros(3), np.ones(3), Source.ANALYTIC)
    found = estimand.errors({"solution": np.zeros(3), "residual": np.zeros(3)}, reference, "float64")
    assert found == dict.fromkeys(Solve.definitions, 0.0)
    wrong = estimand.errors({"solution": np.ones(3)}, reference, "float64")
    assert wrong["relative_norm"] == pytest.approx(3**0.5)


def test_cells_observe_the_residual_with_the_operator_itself_uncharged():
    A, estimand, emitted = matrix(np.linspace(1, 3, 20)), Solve(0.5), []
    problem = Problem.of("own", A)
    cell = Cell("own", "cg", estimand.spec, (3, 6), dtype="float64")
    execute(cell, problem, CATALOG.method("cg", estimand), emitted.append)
    *rows, end = emitted
    assert (end.status, end.costs.matvecs, end.notes.get("matvecs")) == (Status.OK, 6, None)
    reference = problem.references[Solve](estimand)
    found = [estimand.errors(row.arrays, reference, "float64") for row in rows]
    for row, errors in zip(rows, found, strict=True):
        assert errors["residual"] == pytest.approx(row.diagnostics["residual"], rel=1e-8)
        assert errors["energy"] < 2 * errors["residual"]
    assert found[1]["relative_norm"] < found[0]["relative_norm"] < 1

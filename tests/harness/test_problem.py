"""Problems of one's own, families, hashes and dense references."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse.linalg
import torch

from hessbench.estimand import Density, Diagonal, Source, TopEigenvalues, Trace
from hessbench.estimand.from_dense import DENSE_LIMIT, dense_references
from hessbench.operators import dense_operator, to_dense
from hessbench.problem import Problem, ProblemFamily, array_hash

A = np.array([[2.0, 1.0, 0.0], [1.0, -3.0, 0.5], [0.0, 0.5, 1.0]])
CPU = torch.device("cpu")
SOURCES = {
    "array": A,
    "float32": A.astype(np.float32),
    "fortran": np.asfortranarray(A),
    "reversed": A[::-1, ::-1][::-1, ::-1],
    "tensor": torch.as_tensor(A),
    "tensor-with-gradient": torch.tensor(A, requires_grad=True),
    "scipy": scipy.sparse.linalg.aslinearoperator(A),
    "operator": dense_operator(torch.as_tensor(A)),
    "operator32": dense_operator(torch.as_tensor(A), dtype=torch.float32),
}


def dense(problem, dtype=torch.float64):
    return to_dense(problem.build(CPU, dtype)).double().numpy()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("source", SOURCES)
def test_every_accepted_source_gives_the_same_operator(source, dtype):
    problem = Problem.of("mine", SOURCES[source])
    assert problem.dim == 3
    op = problem.build(CPU, dtype)
    assert op.dtype == dtype
    assert not op.matmat(torch.eye(3, dtype=dtype)).requires_grad
    assert np.allclose(dense(problem, dtype), A)


@pytest.mark.parametrize("source", SOURCES)
def test_references_are_those_of_the_dense_matrix(source):
    references = Problem.of("mine", SOURCES[source]).references
    exact = np.linalg.eigvalsh(A)
    top = references[TopEigenvalues](TopEigenvalues(k=2))
    assert top.source is Source.DENSE
    assert np.allclose(np.abs(top.arrays["eigenvalues"]), np.sort(np.abs(exact))[::-1][:2])
    assert np.allclose(references[Trace](Trace()).arrays["trace"], np.trace(A))
    assert np.allclose(references[Density](Density()).arrays["nodes"], exact)
    assert np.allclose(references[Diagonal](Diagonal()).arrays["diagonal"], A.diagonal())


def test_a_function_is_a_problem_with_its_dimension():
    problem = Problem.of("mine", lambda block: torch.as_tensor(A).to(block.dtype) @ block, dim=3)
    assert np.allclose(dense(problem), A)
    with pytest.raises(ValueError, match="dim="):
        Problem.of("mine", lambda block: block)


@pytest.mark.parametrize("source", [None, 3, [[1.0]], "matrix", {}])
def test_another_type_is_refused_by_name(source):
    with pytest.raises(TypeError, match=type(source).__name__):
        Problem.of("mine", source)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (np.array([[1.0, 2.0], [0.0, 1.0]]), "not symmetric"),
        (np.array([[np.nan]]), "not finite"),
        (torch.tensor([[float("inf")]]), "not finite"),
        (np.ones((2, 3)), "square"),
        (np.eye(2) * 1j, "real"),
        (np.eye(2, dtype=int), "real floating"),
        (np.eye(2, dtype=object), "real floating"),
        (scipy.sparse.linalg.aslinearoperator(np.ones((2, 3))), "square"),
    ],
    ids=["asymmetric", "nan", "inf", "not-square", "complex", "integer", "objects", "scipy-not-square"],
)
def test_what_is_no_real_symmetric_matrix_is_refused_when_the_problem_is_made(source, says):
    with pytest.raises(ValueError, match=says):
        Problem.of("mine", source)


@pytest.mark.parametrize("name", ["Mine", "my_problem", "my problem", "", "3d", "a--b", "a[b=1]"])
def test_a_name_that_cannot_be_read_back_is_refused(name):
    with pytest.raises(ValueError, match="problem name"):
        Problem.of(name, A)


def test_no_reference_is_promised_where_the_dense_matrix_would_be_too_large():
    assert Problem.of("mine", lambda block: block, dim=DENSE_LIMIT + 1).references == {}
    assert Problem.of("mine", lambda block: block, dim=DENSE_LIMIT).references != {}


@pytest.mark.parametrize("make", [lambda: A.copy(), lambda: torch.tensor(A)], ids=["array", "tensor"])
def test_writing_into_the_matrix_later_changes_neither_operator_nor_hash(make):
    matrix = make()
    problem = Problem.of("mine", matrix)
    before = problem.hash
    matrix[0, 0] = 99.0
    assert np.allclose(dense(problem), A)
    assert problem.hash == before


def test_a_read_only_array_is_accepted():
    matrix = A.copy()
    matrix.setflags(write=False)
    assert Problem.of("mine", matrix).hash == Problem.of("mine", A).hash


def test_the_hash_covers_the_name_and_the_content():
    base = Problem.of("mine", A)
    assert base.hash == Problem.of("mine", torch.as_tensor(A)).hash
    assert base.hash != Problem.of("yours", A).hash
    assert base.hash != Problem.of("mine", A + 1e-12 * np.eye(3)).hash
    assert len(base.hash) == 16


def test_the_hash_of_arrays_covers_shape_dtype_and_order_but_not_the_layout():
    assert array_hash(A) == array_hash(np.asfortranarray(A))
    different = [A, A.astype(np.float32), A.reshape(1, 9), A + 1]
    assert len({array_hash(a) for a in different}) == 4
    assert array_hash(A, A + 1) != array_hash(A + 1, A)


def test_hashes_do_not_depend_on_the_process():
    code = (
        "import functools, numpy as np\n"
        "from hessbench.catalog import load_catalog\n"
        "from hessbench.method import Method\n"
        "from hessbench.estimand import Trace\n"
        "from hessbench.cells.cell import Cell\n"
        "from hessbench.problem import Problem\n"
        "space = {}\n"
        "exec('def run(op, /, *, num_matvecs, generator, depth=2):\\n"
        '    return depth in {"a", "b", "c"} or (lambda: 3.5)\', space)\n'
        "run = space['run']\n"
        "print(Method('m', run, (Trace,)).hash, Method('m', functools.partial(run, depth=3), (Trace,)).hash)\n"
        "print(Cell('p', 'm', 'trace', (1, 2)).id, Problem.of('mine', np.eye(2)).hash)\n"
        "catalog = load_catalog()\n"
        "print([m.hash for m in catalog.methods], catalog.problem('student-t[n=20]').hash)\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert len(said[0].split()) > 10


def test_a_dimension_below_one_is_refused():
    with pytest.raises(ValueError, match="dim must be at least 1"):
        Problem("mine", 0, lambda device, dtype: dense_operator(torch.eye(1)))


def family(**calls):
    def make(*, n: int = 4, scale: float = 1.0, instance: int = 0, signed: bool = True, kind: str = "flat"):
        calls["seen"] = (n, scale, instance, signed, kind)
        return Problem.of("anything", scale * np.eye(n))

    return ProblemFamily("grid", make)


@pytest.mark.parametrize(
    ("written", "spec"),
    [
        ("grid", "grid"),
        ("grid[instance=0]", "grid"),
        ("grid[instance=0.0,n=4]", "grid"),
        ("grid[instance=1]", "grid[instance=1]"),
        ("grid[scale=1]", "grid"),
        ("grid[scale=2,n=8]", "grid[n=8,scale=2.0]"),
        ("grid[signed=false,kind=steep]", "grid[kind=steep,signed=false]"),
    ],
)
def test_a_default_is_left_out_of_the_name(written, spec):
    assert family().canonical(written) == spec
    assert family().problem(written).name == spec


@pytest.mark.parametrize("text", ["grid[m=1]", "grid[n=2.5]", "grid[n=many]", "grid[signed=1]", "grid[n=[1,2]]"])
def test_a_parameter_that_is_not_accepted_is_refused(text):
    with pytest.raises(ValueError, match="grid"):
        family().problem(text)


def test_a_family_name_that_cannot_be_read_back_is_refused():
    with pytest.raises(ValueError, match="problem name"):
        ProblemFamily("My Family", lambda: Problem.of("a", A))


def test_the_dense_matrix_is_solved_once_for_all_references():
    made = []

    def matrix():
        made.append(1)
        return A

    references = dense_references(matrix)
    for estimand in (TopEigenvalues(k=1), TopEigenvalues(k=2), Trace(), Density(), Diagonal()):
        references[type(estimand)](estimand)
    assert len(made) == 1


def test_dense_references_of_what_is_not_symmetric_are_refused():
    references = dense_references(lambda: np.array([[1.0, 2.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="not symmetric"):
        references[Trace](Trace())


@pytest.mark.parametrize("estimand", [TopEigenvalues(k=1), Trace(), Density(), Diagonal()], ids=lambda e: e.key)
def test_the_bound_of_a_dense_reference_is_not_zero_in_any_dtype(estimand):
    reference = dense_references(functools.partial(np.asarray, A))[type(estimand)](estimand)
    assert 0 < estimand.floor(reference, "float64") < estimand.floor(reference, "float32") < 1e-4


@pytest.mark.parametrize("refused", [None, torch.float64])
def test_a_problem_that_shows_only_products_is_hashed_by_what_they_are(refused):
    def problem(scale):
        def product(block):
            if block.dtype is refused:
                raise TypeError("float32 only")
            return scale * block

        return Problem.of("mine", product, dim=6)

    assert problem(2.0).hash == problem(2.0).hash
    assert problem(2.0).hash != problem(3.0).hash
    assert problem(2.0).hash != problem(2.0 + 1e-4).hash


def test_a_problem_that_gives_no_product_has_a_hash_all_the_same():
    def product(block):
        raise RuntimeError("never")

    assert Problem.of("mine", product, dim=6).hash == Problem.of("mine", product, dim=6).hash

"""`hessbench spectrum --keep-vectors`: what is kept, what it is priced at, and what is printed."""

import csv
import io

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from hessbench.cli import main
from hessbench.cli.kept_vectors import FOLDER, TABLE, keep_vectors, print_vectors, vector_products, with_vectors
from hessbench.cli.spectrum_suite import SuitePrice
from hessbench.eigenvectors import read_eigenvectors
from hessbench.problem import Problem
from hessbench.running.plan import Conditions

A = np.diag([9.0, -5.0, 3.0, *np.linspace(-1, 1, 27)])


def test_products_and_seconds_of_the_vectors_are_in_the_price():
    price = SuitePrice(10.0, True, 2**20, 400, (), 1.0, "")
    assert vector_products(10, 1000, 400) == 170
    assert vector_products(10, 4, 400) == 164
    assert with_vectors(price, 200).seconds == pytest.approx(15.0)
    assert with_vectors(price, 200).products == 600
    assert with_vectors(SuitePrice(None, True, None, 400, (), None, ""), 200).seconds is None


def test_vectors_are_kept_once_with_a_table_of_where_they_live(tmp_path):
    problem, told = Problem.of("small", A), []
    keep = [keep_vectors(problem, tmp_path, 3, 33, Conditions(), told.append) for _ in range(2)]
    assert told == ["kept 3 eigenvectors of 30 entries, 33 products"]
    np.testing.assert_array_equal(keep[0].vectors, keep[1].vectors)
    np.testing.assert_allclose(keep[0].values, [9, -5, 3], rtol=1e-5)
    with (tmp_path / FOLDER / TABLE).open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["participation_ratio"]) for row in rows] == pytest.approx([1, 1, 1], rel=1e-4)
    other = keep_vectors(Problem.of("small", 2 * A), tmp_path, 3, 33, Conditions(dtype="float64"), told.append)
    np.testing.assert_allclose(other.values, [18, -10, 6], rtol=1e-9)
    assert len(told) == 2


def test_what_is_printed_is_what_is_kept(tmp_path):
    found = keep_vectors(Problem.of("small", A), tmp_path, 2, 32, Conditions(), lambda _: None)
    console = Console(width=100, record=True, file=io.StringIO())
    print_vectors(found, console)
    text = console.export_text()
    assert "9" in text
    assert "spread over so many of 30 entries" in text


@pytest.mark.slow
def test_the_verb_keeps_the_vectors_of_a_network_beside_its_ledger(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["spectrum", "mlp[step=0,widths=4]", "--k", "2", "--yes", "--keep-vectors", "--out", "run"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    kept = read_eigenvectors("run/eigenvectors")
    assert kept.vectors.shape[1] == 2
    assert "most mass" in done.output

"""Seeds are hashes of names; the golden values must never change under schema 1."""

import json
from pathlib import Path

import pytest
import torch

from hessbench.seeding import cell_seed, derive_seed, make_generator

GOLDEN = json.loads((Path(__file__).parent / "golden" / "seeds.json").read_text())


@pytest.mark.parametrize("row", GOLDEN["cells"], ids=lambda row: f"{row['problem']}-{row['repeat']}")
def test_cell_seeds_are_frozen(row):
    assert cell_seed(row["problem"], row["estimand"], row["repeat"]) == row["seed"]


@pytest.mark.parametrize("row", GOLDEN["parts"], ids=lambda row: "|".join(row["parts"]))
def test_derived_seeds_are_frozen(row):
    assert derive_seed(*row["parts"]) == row["seed"]


def test_where_a_part_ends_matters():
    assert derive_seed("a", "bc") != derive_seed("ab", "c")


def test_a_generator_starts_the_same_from_the_same_seed():
    one, two = make_generator(7), make_generator(7)
    assert torch.equal(torch.randn(5, generator=one), torch.randn(5, generator=two))

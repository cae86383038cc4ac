"""Seeds are hashes of names; the golden values must never change under schema 1."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import hessbench
from hessbench.laws.checks import _global_state
from hessbench.laws.global_settings import changes
from hessbench.seeding import cell_seed, derive_seed, make_generator, seeded_globally

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


def draws():
    """One number from each global generator."""
    return torch.randn(1).item(), np.random.standard_normal(), random.random()


def test_global_generators_are_seeded_from_the_one_handed_in():
    with seeded_globally(make_generator(7)) as seed:
        one = draws()
    torch.randn(3), np.random.standard_normal(3), random.random()
    with seeded_globally(make_generator(7)) as again:
        assert draws() == one
    assert seed == again
    assert 0 <= seed < 2**31


def test_a_second_use_draws_others_and_another_generator_too():
    generator = make_generator(7)
    found = []
    for chosen in (generator, generator, make_generator(8)):
        with seeded_globally(chosen):
            found.append(draws())
    for numbers in zip(*found, strict=True):
        assert len(set(numbers)) == 3


@pytest.mark.parametrize("inside", [draws, lambda: torch.manual_seed(3), lambda: np.random.seed(3)])
def test_global_generators_are_left_as_they_were(inside):
    before = _global_state()
    with seeded_globally(make_generator(7)):
        inside()
        assert changes(before, _global_state())
    assert changes(before, _global_state()) == []


def test_an_exception_leaves_them_as_they_were_too():
    before = _global_state()

    def interrupted():
        draws()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), seeded_globally(make_generator(7)):
        interrupted()
    assert changes(before, _global_state()) == []


def test_one_inside_another_leaves_the_outer_where_it_was():
    with seeded_globally(make_generator(7)):
        alone = [draws(), draws()]
    with seeded_globally(make_generator(7)):
        first = draws()
        with seeded_globally(make_generator(8)):
            draws()
        assert [first, draws()] == alone


def test_the_global_generator_itself_may_be_handed_in():
    torch.manual_seed(0)
    with seeded_globally(torch.default_generator):
        one = draws()
    with seeded_globally(torch.default_generator):
        assert draws() != one


@pytest.mark.parametrize("what", [7, None, np.random.default_rng(0)])
def test_anything_else_than_a_generator_is_refused(what):
    with pytest.raises(TypeError, match=r"generator takes a torch\.Generator, got (int|NoneType|Generator)"):
        seeded_globally(what).__enter__()


def test_it_is_a_public_name():
    assert hessbench.seeded_globally is seeded_globally


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_generator_of_the_device_is_seeded_and_restored():
    before = torch.cuda.get_rng_state_all()
    with seeded_globally(make_generator(7, "cuda")):
        one = torch.randn(3, device="cuda")
        torch.manual_seed(1)
    assert all(torch.equal(a, b) for a, b in zip(before, torch.cuda.get_rng_state_all(), strict=True))
    with seeded_globally(make_generator(7, "cuda")):
        assert torch.equal(torch.randn(3, device="cuda"), one)

"""Families of problems that differ in size alone."""

import pytest

from hessbench.reports.scale.families import families


def _found(dims):
    return {family.name: [problem for problem, _ in family.members] for family in families(dims)}


def test_specs_that_differ_in_one_growing_number_are_a_family():
    assert _found({"student-t[n=100]": 100, "student-t[n=1000,zero_fraction=0.9]": 1000, "student-t[n=10]": 10}) == {
        "student-t[n=*]": ["student-t[n=10]", "student-t[n=100]"]
    }


def test_widths_joined_by_hyphens_are_sizes():
    assert _found({"mlp[weights=random,widths=69-69]": 10015, "mlp[weights=random,widths=12-12]": 1066}) == {
        "mlp[weights=random,widths=*]": ["mlp[weights=random,widths=12-12]", "mlp[weights=random,widths=69-69]"]
    }


def test_a_value_left_out_as_the_default_is_a_size():
    assert _found({"digits-mlp": 1930, "digits-mlp[width=64]": 3850}) == {
        "digits-mlp[width=*]": ["digits-mlp", "digits-mlp[width=64]"]
    }


@pytest.mark.parametrize(
    "dims",
    [
        {},
        {"student-t[n=10]": 10},
        {"student-t[n=10]": 10, "spectrum[n=100]": 100},
        {"mlp[step=0]": 1930, "mlp[step=500]": 1930},  # not a size: the dimension stays
        {"mlp[block=0]": 900, "mlp[block=1]": 100},  # falls where the value grows
        {"mlp[data=cifar10]": 900, "mlp[data=mnist]": 100},  # no number
        {"student-t[df=1.5]": 10, "student-t[df=2.5]": 100},  # no whole number
        {"student-t[n=10,signed=false]": 10, "student-t[n=100]": 100},  # differ in two
    ],
)
def test_what_is_no_family(dims):
    assert _found(dims) == {}


def test_a_spec_can_be_in_a_family_of_width_and_one_of_depth():
    dims = {"net[depth=1,width=8]": 80, "net[depth=1,width=16]": 160, "net[depth=2,width=8]": 150}
    assert set(_found(dims)) == {"net[depth=1,width=*]", "net[depth=*,width=8]"}


def test_a_family_knows_its_specs_of_other_sizes():
    (family,) = families({"student-t[n=10]": 10, "student-t[n=100]": 100})
    assert family.holds("student-t[n=7]")
    assert family.holds("student-t")
    assert not family.holds("student-t[n=10,signed=false]")
    assert not family.holds("spectrum[n=10]")


@pytest.mark.parametrize("text", ["", "[", "]", "a[", "a]", "a[=]", "a[,]", "a[n=1,n=2]", "x" * 5000, "\ud800[n=1]"])
def test_text_that_is_no_spec_is_a_problem_of_its_own(text):
    assert _found({text: 1, "student-t[n=10]": 10, "student-t[n=100]": 100}) == {
        "student-t[n=*]": ["student-t[n=10]", "student-t[n=100]"]
    }

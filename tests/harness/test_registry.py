"""Selection by name, sweep and glob; no duplicates."""

from dataclasses import dataclass

import pytest

from hessbench.registry import Registry
from hessbench.specs import Spec, canonical, spec_of


@dataclass(frozen=True)
class Entry:
    name: str
    presets: tuple = ()

    def spec(self, asked):
        return canonical(spec_of(asked), {"step": 0, "share": 0.0, "mode": "full"})


def registry():
    return Registry(
        "method",
        [
            Entry("hutchinson"),
            Entry("hutchpp"),
            Entry("lanczos", ("lanczos[mode=full]", "lanczos[mode=none]")),
            Entry("student-t", ("student-t", "student-t[share=0.5]", "student-t[share=1]")),
        ],
    )


@pytest.mark.parametrize(
    ("pattern", "specs"),
    [
        ("hutchpp", ["hutchpp"]),
        ("lanczos[mode=full]", ["lanczos"]),
        ("lanczos[step=[0,1,2]]", ["lanczos", "lanczos[step=1]", "lanczos[step=2]"]),
        ("lanczos[step=[1,1.0]]", ["lanczos[step=1]"]),
        (
            "lanczos[mode=[none,full],step=[3,4]]",
            [f"lanczos[{mode}step={step}]" for mode in ("mode=none,", "") for step in (3, 4)],
        ),
    ],
)
def test_a_spec_or_sweep_names_exactly_what_it_says(pattern, specs):
    found = registry().select(pattern)
    assert sorted(str(s.spec) for s in found) == sorted(specs)
    assert not any(s.by_glob for s in found)


@pytest.mark.parametrize(
    ("pattern", "specs"),
    [
        ("hutch*", ["hutchinson", "hutchpp"]),
        ("hutchp?", ["hutchpp"]),
        ("lanczos*", ["lanczos", "lanczos[mode=none]"]),
        ("lanczos[*", ["lanczos", "lanczos[mode=none]"]),
        ("lanczos[mode=n*]", ["lanczos[mode=none]"]),
        ("*[mode=*]", ["lanczos", "lanczos[mode=none]"]),
        ("student-t[share=?]", ["student-t[share=1.0]"]),
        ("student-t[share=0.?]", ["student-t[share=0.5]"]),
        ("*-t", ["student-t", "student-t[share=0.5]", "student-t[share=1.0]"]),
    ],
)
def test_a_glob_matches_names_and_presets_with_brackets_taken_as_they_are(pattern, specs):
    found = registry().select(pattern)
    assert [str(s.spec) for s in found] == specs
    assert all(s.by_glob for s in found)


def test_a_spec_is_selected_as_it_was_parsed():
    (chosen,) = registry().select("lanczos[step=2]")
    assert chosen.spec == Spec("lanczos", (("step", 2),))
    assert registry().entry_of(chosen.spec).spec(chosen.spec) is not None


def test_a_glob_over_everything_gives_every_preset_once():
    found = [s.spec for s in registry().select("*")]
    assert len(found) == len(set(found)) == 7


def test_brackets_of_a_glob_are_no_set_of_characters():
    with pytest.raises(ValueError, match="no method matches"):
        registry().select("[hl]*")


@pytest.mark.parametrize("pattern", ["LANCZOS*", "nothing*", "lanczos[step=*]"])
def test_a_glob_that_matches_nothing_is_refused(pattern):
    with pytest.raises(ValueError, match="no method matches"):
        registry().select(pattern)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'lanczos'"):
        registry().select("lanzcos")


def test_a_parameter_that_is_not_accepted_is_refused():
    with pytest.raises(ValueError, match="no parameter 'depth'"):
        registry().select("lanczos[depth=1]")


def test_a_name_is_registered_once():
    both = registry()
    with pytest.raises(ValueError, match="'lanczos' is already registered"):
        both.add(Entry("lanczos"))
    assert len(both) == 4


def test_entries_come_in_the_order_they_were_added():
    assert [entry.name for entry in registry()] == ["hutchinson", "hutchpp", "lanczos", "student-t"]
    assert "lanczos" in registry()
    assert "dense" not in registry()


def test_the_entry_of_a_spec_is_that_of_its_name():
    assert registry().entry_of("lanczos[mode=none]").name == "lanczos"
    with pytest.raises(ValueError, match="unknown method 'dense'"):
        registry().entry_of("dense[a=1]")

"""What a method declares, how its keywords are filled, and when its hash changes."""

import functools
import inspect
import math
from typing import Literal

import pytest

from hessbench.estimand import (
    Density,
    Diagonal,
    Estimate,
    LogDeterminant,
    TopEigenspace,
    TopEigenvalues,
    Trace,
    TraceFunction,
)
from hessbench.method import Footprint, Method
from hessbench.problem import Problem


def one_shot(op, /, *, num_matvecs, generator, depth=2, tol=1e-3, mode="fast"):
    return Estimate(1.0)


def anytime(op, /, *, num_matvecs, generator, depth=2):
    yield Estimate(1.0)


def top(op, /, *, num_matvecs, generator, k, which="magnitude", extra=None):
    return Estimate((k, which, extra))


def wrapped(function):
    @functools.wraps(function)
    def outer(*arguments, **keywords):
        return function(*arguments, **keywords)

    return outer


class Callable:
    def __init__(self, shift=0.0):
        self.shift = shift

    def __call__(self, op, /, *, num_matvecs, generator, depth=2):
        yield Estimate(self.shift)

    def bound(self, op, /, *, num_matvecs, generator, depth=2):
        yield Estimate(self.shift)


def method(run=one_shot, estimands=(Trace,), **declared):
    return Method("mine", run, estimands, **declared)


GENERATORS = {
    "function": anytime,
    "partial": functools.partial(anytime, depth=3),
    "partial-of-partial": functools.partial(functools.partial(anytime, depth=3), depth=4),
    "decorated": wrapped(anytime),
    "partial-of-decorated": functools.partial(wrapped(anytime), depth=3),
    "object": Callable(),
    "bound-method": Callable().bound,
}


@pytest.mark.parametrize("run", GENERATORS.values(), ids=GENERATORS)
def test_a_generator_function_is_anytime_however_it_is_wrapped(run):
    assert method(run).is_anytime
    assert not method(functools.partial(one_shot, depth=3)).is_anytime
    assert not method(one_shot).is_anytime


@pytest.mark.parametrize("run", [*GENERATORS.values(), one_shot], ids=[*GENERATORS, "one-shot"])
def test_every_kind_of_callable_has_a_hash_that_stays(run):
    assert method(run).hash == method(run).hash
    assert len(method(run).hash) == 16


def test_the_hash_covers_what_a_partial_fixes():
    three, four = (method(functools.partial(anytime, depth=depth)).hash for depth in (3, 4))
    assert len({method(anytime).hash, three, four}) == 3


def test_a_declared_version_stands_for_the_source():
    assert method(one_shot, version="1").hash == method(anytime, version="1").hash
    assert method(one_shot, version="1").hash != method(one_shot, version="2").hash
    assert method(one_shot, version="1").hash != method(one_shot).hash


def test_the_hash_covers_the_whole_source_file(tmp_path):
    file = tmp_path / "plugin.py"

    def hash_of(text):
        file.write_text(text)
        space = {}
        exec(compile(text, str(file), "exec"), space)
        return method(space["run"]).hash

    text = "def run(op, /, *, num_matvecs, generator):\n    return 1.0\n"
    assert hash_of(text) == hash_of(text)
    assert hash_of(text) != hash_of(text + "# changed\n")


def typed_in(body, default="2"):
    """A function without a file, as in a notebook."""
    space = {}
    exec(f"def run(op, /, *, num_matvecs, generator, depth={default}):\n    {body}\n", space)
    return method(space["run"])


def test_without_a_file_the_hash_covers_code_constants_names_and_defaults():
    bodies = ["return 0.5", "return 0.7", "return op.a", "return op.b", "return lambda: 1", "return lambda: 2"]
    assert len({typed_in(body).hash for body in bodies}) == len(bodies)
    assert typed_in("return 0.5").hash == typed_in("return 0.5").hash
    assert typed_in("return 0.5").hash != typed_in("return 0.5", default="3").hash


@pytest.mark.parametrize(
    ("written", "spec"),
    [
        ("mine", "mine"),
        ("mine[depth=2]", "mine"),
        ("mine[depth=3.0,tol=1]", "mine[depth=3,tol=1.0]"),
        ("mine[mode=slow]", "mine[mode=slow]"),
    ],
)
def test_defaults_are_left_out_of_the_spec(written, spec):
    assert method().canonical(written) == spec
    assert str(method().bind(written, Trace()).spec) == spec


@pytest.mark.parametrize("text", ["mine[k=3]", "mine[num_matvecs=3]", "mine[generator=3]", "mine[depth=deep]"])
def test_a_parameter_that_is_not_accepted_is_refused(text):
    with pytest.raises(ValueError, match="mine"):
        method().canonical(text)


def test_a_default_of_none_accepts_any_value():
    assert method(top, (TopEigenvalues,)).canonical("mine[extra=0.5]") == "mine[extra=0.5]"
    assert method(top, (TopEigenvalues,)).canonical("mine") == "mine"


def test_fields_of_the_estimand_are_filled_from_it_and_are_no_parameters():
    bound = method(top, (TopEigenvalues,)).bind("mine", TopEigenvalues(k=7, which="smallest"))
    assert bound.keywords == {"k": 7, "which": "smallest"}
    assert bound.run(None, 5, None).value == (7, "smallest", None)
    assert list(bound.method.defaults) == ["extra"]


def test_a_keyword_named_like_a_field_of_an_estimand_it_does_not_answer_is_a_parameter():
    def run(op, /, *, num_matvecs, generator, k=3):
        return Estimate(k)

    bound = method(run).bind("mine[k=5]", Trace())
    assert bound.run(None, 5, None).value == 5


def test_a_parameter_without_default_is_asked_for():
    def run(op, /, *, num_matvecs, generator, depth):
        return Estimate(depth)

    with pytest.raises(ValueError, match="needs the parameter 'depth'"):
        method(run).canonical("mine")
    assert method(run).bind("mine[depth=2]", Trace()).settings == {"depth": 2}


def test_a_method_is_bound_only_to_what_it_answers():
    with pytest.raises(ValueError, match="does not answer density; it answers: trace, diagonal"):
        method(estimands=(Trace, Diagonal)).bind("mine", Density())


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (lambda op, *, num_matvecs: None, "generator missing"),
        (lambda op, *, generator: None, "num_matvecs missing"),
        (lambda op, **anything: None, "generator, num_matvecs missing"),
    ],
)
def test_a_run_that_cannot_be_handed_budget_and_generator_is_refused(run, says):
    with pytest.raises(ValueError, match=says):
        method(run)


@pytest.mark.parametrize("name", ["Mine", "my_method", "", "a[b=1]"])
def test_a_name_that_cannot_be_read_back_is_refused(name):
    with pytest.raises(ValueError, match="method name"):
        Method(name, one_shot, (Trace,))


def test_a_method_that_answers_nothing_is_refused():
    with pytest.raises(ValueError, match="estimands must name"):
        method(estimands=())


def test_a_way_to_work_that_is_none_is_refused():
    with pytest.raises(ValueError, match="works_by must be one of products, rows, factor, copy, got 'columns'"):
        Method("mine", one_shot, (Trace,), works_by="columns")


def test_declared_functions_see_every_setting_filled_in():
    seen = []

    def told(*arguments, **settings):
        seen.append((arguments, settings))
        return 3

    filled = {"depth": 5, "tol": 1e-3, "mode": "fast"}
    bound = method(
        min_matvecs=told,
        block_widths=lambda num_matvecs, **settings: (told(num_matvecs, **settings),),
        footprint=lambda dim, num_matvecs, **settings: Footprint(told(dim, num_matvecs, **settings), 1),
    ).bind("mine[depth=5]", Trace())
    assert bound.min_matvecs(100) == 3
    assert bound.block_widths(20) == (3,)
    assert bound.footprint(100, 20) == Footprint(3, 1)
    assert seen == [((100,), filled), ((20,), filled), ((100, 20), filled)]


def test_what_is_not_declared_has_plain_values():
    bound = method(min_matvecs=4).bind("mine", Trace())
    assert (bound.min_matvecs(100), bound.block_widths(20), bound.footprint(100, 20)) == (4, (1,), None)


def test_a_missing_trait_is_a_reason_to_skip():
    problem = Problem("flat", 3, lambda device, dtype: None, traits=("psd",))
    assert method(requires=("psd",)).bind("mine", Trace()).skip_reason(problem) == ""
    reason = method(requires=("psd", "factor")).bind("mine", Trace()).skip_reason(problem)
    assert "'factor'" in reason
    assert "flat" in reason


def test_what_an_estimand_asks_for_is_handed_to_a_method_that_declares_it():
    def run(op, /, *, num_matvecs, generator, k, vectors=False):
        return Estimate((k, vectors))

    both = method(run, (TopEigenvalues, TopEigenspace))
    assert both.bind("mine", TopEigenvalues(k=2)).keywords == {"k": 2}
    assert both.bind("mine", TopEigenspace(k=2)).keywords == {"k": 2, "vectors": True}
    assert both.bind("mine", TopEigenspace(k=2)).settings == {"k": 2, "vectors": True}
    assert "vectors" not in method(top, (TopEigenspace,)).bind("mine", TopEigenspace(k=2)).keywords


@pytest.mark.parametrize(
    ("traits", "estimand", "known"),
    [
        ((), Density(), -math.inf),
        (("psd",), Density(), 0.0),
        ((), LogDeterminant(0.5), -0.5),
        (("psd",), LogDeterminant(0.5), 0.0),
        ((), TraceFunction("sqrt"), 0.0),
        ((), TraceFunction("exp"), -math.inf),
    ],
)
def test_what_is_known_of_the_lower_end_is_handed_to_a_method_that_declares_it(traits, estimand, known):
    def run(op, /, *, num_matvecs, generator, depth=1, known_low=0.25):
        return Estimate(known_low)

    bound = method(run, (Density,)).bind("mine", estimand)
    assert bound.run(None, 1, None).value == -math.inf
    told = bound.on(Problem("flat", 3, lambda device, dtype: None, traits=traits))
    assert told.run(None, 1, None).value == known
    assert told.settings == {"depth": 1}
    with pytest.raises(ValueError, match="no parameter 'known_low'"):
        method(run, (Density,)).bind("mine[known_low=0]", estimand)


def test_settings_that_cannot_answer_an_estimand_are_a_reason_to_skip():
    def refuses(kind, *, depth):
        return f"depth {depth} shows no trace" if kind is Trace and depth < 2 else ""

    def run(op, /, *, num_matvecs, generator, depth=1):
        return Estimate(0.0)

    shallow = method(run, (Trace, Diagonal), refuses=refuses)
    problem = Problem("flat", 3, lambda device, dtype: None)
    assert shallow.bind("mine", Trace()).skip_reason(problem) == "mine does not answer trace: depth 1 shows no trace"
    assert shallow.bind("mine[depth=2]", Trace()).skip_reason(problem) == ""
    assert shallow.bind("mine", Diagonal()).refusal == ""


def test_a_partial_shows_its_fixed_keyword_as_the_default():
    assert method(functools.partial(one_shot, depth=9)).defaults["depth"] == 9
    assert inspect.isfunction(one_shot)


def test_a_word_outside_of_a_literal_is_refused_with_the_accepted_ones():
    def run(op, /, *, num_matvecs, generator, reorth: Literal["full", "none"] = "full"):
        return Estimate(0.0)

    method = Method(name="choosy", run=run, estimands=(Trace,))
    assert method.canonical("choosy[reorth=none]") == "choosy[reorth=none]"
    with pytest.raises(ValueError, match="'reorth' takes full or none, got 'maybe'"):
        method.bind("choosy[reorth=maybe]", Trace())


def test_the_hash_covers_what_the_file_imports_from_beside_it(tmp_path):
    def hash_with(scale):
        (tmp_path / "helper.py").write_text(f"SCALE = {scale}\n")
        plugin = tmp_path / "plug.py"
        plugin.write_text("def run(op, /, *, num_matvecs, generator):\n    import helper\n    return helper.SCALE\n")
        space = {}
        exec(compile(plugin.read_text(), str(plugin), "exec"), space)
        return method(space["run"]).hash

    assert hash_with(1) == hash_with(1)
    assert hash_with(1) != hash_with(50)

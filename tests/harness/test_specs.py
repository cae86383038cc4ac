"""The spec grammar: golden canonical texts, sweeps, and one clear sentence for each mistake."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hessbench.specs import REQUIRED, Spec, canonical, format_value, parse, parse_one, suggest

DEFAULTS = {"n": 1000, "zero_fraction": 0.0, "df": 3.0, "signed": True}
GOLDEN = Path(__file__).parent / "golden" / "specs.txt"


@pytest.mark.parametrize("line", GOLDEN.read_text().splitlines())
def test_canonical_text_is_frozen(line):
    written, _, expected = line.partition(" -> ")
    assert str(canonical(parse_one(written), DEFAULTS)) == expected


def test_a_list_is_a_sweep_in_the_order_given():
    found = [str(spec) for spec in parse("digits-mlp[step=[0,10,100],operator=[ggn,hessian]]")]
    assert found == [
        f"digits-mlp[operator={operator},step={step}]" for operator in ("ggn", "hessian") for step in (0, 10, 100)
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a name"),
        ("Lanczos", "is not a name"),
        ("lanczos[", "closing"),
        ("lanczos[]", "key=value"),
        ("lanczos[reorth]", "key=value"),
        ("lanczos[reorth=full,reorth=none]", "twice"),
        ("lanczos[reorth=[full]", "brackets"),
        ("lanczos[reorth=]", "is not a number"),
        ("lanczos[reorth=<script>]", "is not a number"),
        ("lanczos[steps=1e999]", "too large"),
        ("lanczos[a=[[1]]]", "brackets"),
    ],
)
def test_malformed_text_is_named(text, says):
    with pytest.raises(ValueError, match="malformed spec") as caught:
        parse(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("student-t[m=3]", "no parameter 'm'"),
        ("student-t[zero_fractoin=0.5]", "did you mean 'zero_fraction'"),
        ("student-t[n=1.5]", "takes an integer"),
        ("student-t[n=true]", "takes an integer"),
        ("student-t[signed=1]", "takes true or false"),
        ("student-t[df=heavy]", "takes a number"),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(text, says):
    with pytest.raises(ValueError, match="student-t") as caught:
        canonical(parse_one(text), DEFAULTS)
    assert says in str(caught.value)


def test_a_required_parameter_is_asked_for():
    with pytest.raises(ValueError, match="needs the parameter 'k'"):
        canonical(Spec("top-eigenvalues"), {"k": REQUIRED})


def test_a_sweep_is_refused_where_one_spec_is_wanted():
    with pytest.raises(ValueError, match="list of values"):
        parse_one("a[b=[1,2]]")


def test_suggestion_is_empty_when_nothing_is_near():
    assert suggest("zzz", ["lanczos"]) == ""


values = st.one_of(
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True).filter(lambda w: w not in ("true", "false")),
)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True), values, max_size=4))
def test_text_of_a_spec_reads_back_as_the_spec(params):
    spec = Spec("name", tuple(sorted(params.items())))
    again = parse_one(str(spec))
    assert again == spec
    assert [type(value) for _, value in again.params] == [type(value) for _, value in spec.params]
    assert all(isinstance(format_value(value), str) for _, value in spec.params)

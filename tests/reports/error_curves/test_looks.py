"""Looks of a page: no colour twice in a figure, a method the same in all of them."""

from hessbench.reports.error_curves.curves import charts
from hessbench.reports.error_curves.looks import chart_looks


def test_no_colour_comes_twice_in_a_figure(builder):
    for number in range(30):
        builder.cell(method=f"m{number}")
        builder.cell(method=f"m{number}", dtype="float64")
    made = charts(builder.rows)
    known = chart_looks(made)
    colours = [known[series.name].colour for series in made[0].series]
    assert len(colours) == len(set(colours)) == 60


def test_methods_that_never_meet_share_the_best_colours(builder):
    for number in range(8):
        builder.cell(method=f"t{number}", estimand="trace")
        builder.cell(method=f"d{number}", estimand="density")
    known = chart_looks(charts(builder.rows))
    assert len({look.colour for look in known.values()}) == 8


def test_a_method_that_meets_many_has_one_look_apart_from_all(builder):
    for estimand in ("trace", "density"):
        for method in ("both", f"only-{estimand}"):
            builder.cell(method=method, estimand=estimand)
    known = chart_looks(charts(builder.rows))
    assert known["both"].colour not in {known["only-trace"].colour, known["only-density"].colour}


def test_methods_without_a_chart_have_a_look():
    assert set(chart_looks((), ["a", "b"])) == {"a", "b"}


def test_dense_takes_no_colour(builder):
    for method in ("a-first", "dense", "z-last"):
        builder.cell(method=method)
    known = chart_looks(charts(builder.rows))
    assert {known["a-first"].place, known["z-last"].place} == {0, 1}

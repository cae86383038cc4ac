"""Figures from planted folders: what is kept is drawn, what is not is said, whatever the spectrum."""

import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from hessbench.ledger.reading import Ledger
from hessbench.reports.spectra.densities import MOST_FAINT
from hessbench.reports.spectra.figures import suitable_scale
from hessbench.reports.spectra.kept import kept_spectra
from hessbench.reports.spectra.nodes import MOST_STEMS
from hessbench.reports.spectra.numbers import values_frame, written_repeats
from hessbench.reports.spectra.page import write_spectra
from hessbench.reports.spectra.panels import MOST_PANELS

DIM = {"dim": 40}
TOP = "top-eigenvalues[k=3]"
SPECTRA = {
    "wide": np.concatenate([np.logspace(-9, 1, 30), -np.logspace(-6, -1, 10)]),
    "zero matrix": np.zeros(40),
    "one": np.asarray([2.0]),
    "identity": np.ones(40),
    "pairs": np.concatenate([np.linspace(-1, -0.5, 20), np.linspace(0.5, 1, 20)]),
    "mostly zero": np.concatenate([np.zeros(38), [1e-3, 5.0]]),
    "negative": -np.linspace(1, 2, 40),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_every_spectrum_is_drawn_on_every_axis(name, planted, drawn):
    values = SPECTRA[name]
    planted.truth(values, "density", "trace", "top-eigenvalues[k=1]").density(values, dim=values.size)
    planted.density([float(values.mean())], method="slq[steps=1]", dim=values.size)
    planted.answer({"eigenvalues": values[-1:]}, "lanczos", "top-eigenvalues[k=1]", dim=values.size)
    shown = drawn(planted.spectrum(), scales=("linear", "log", "symlog"))
    titles = [figure.title for figure in shown.figures]
    has_log = "Density, logarithmic axis" in titles
    assert has_log == bool((values > 1e-12).any())
    assert len(titles) == 5 + has_log
    assert all(figure.caption.endswith(".") for figure in shown.figures)


def test_without_a_reference_the_figures_say_so(planted, drawn):
    shown = drawn(planted.density([-1.0, 0.5, 3.0], **DIM).spectrum())
    assert all("No reference is kept" in figure.caption for figure in shown.figures)
    assert shown.shares[-1][0] == "slq"


def test_mass_beyond_the_reference_is_printed(planted, drawn, tmp_path):
    planted.truth(np.linspace(1, 2, 40)).density([1.5, 99.0], [0.75, 0.25], **DIM)
    shown = drawn(planted.spectrum())
    assert "25 % off the axis" in (tmp_path / "page" / shown.figures[0].file).read_text()


def test_the_share_of_zeros_is_stated_on_a_logarithmic_axis(planted, drawn):
    planted.truth([0.0] * 30 + [1.0] * 10).density([0.0, 1.0], [0.75, 0.25], **DIM)
    spectrum = planted.spectrum()
    assert suitable_scale(spectrum) == "symlog"
    captions = {figure.title: figure.caption for figure in drawn(spectrum, scales=("log",)).figures}
    assert "the reference 75 %" in captions["Density, logarithmic axis"]


def test_the_captions_say_width_rug_source_and_bound(planted, drawn):
    planted.truth(np.linspace(1, 2, 40)).density(np.linspace(1, 2, 20), diagnostics={"starts": 1}, **DIM)
    caption = drawn(planted.spectrum()).figures[0].caption
    for part in ("for M = 20 steps", "Rug: all 40 eigenvalues, DENSE, to within", "Grey: the true density"):
        assert part in caption


def test_a_width_that_is_stated_is_taken(planted, drawn):
    caption = drawn(planted.density([1.0, 2.0], **DIM).spectrum(), sigma=0.25).figures[0].caption
    assert "0.25 of half the axis" in caption
    assert "as stated" in caption


def test_a_rug_of_many_values_is_thinned_and_said(planted, drawn, tmp_path):
    values = np.linspace(0, 1, 100_000)
    shown = drawn(planted.truth(values).density([0.2, 0.9], dim=values.size).spectrum())
    assert "those that fall within half a pixel are one stroke" in shown.figures[0].caption
    assert (tmp_path / "page" / shown.figures[0].file).stat().st_size < 60_000


def test_more_methods_than_panels_are_named_in_the_numbers(planted, drawn, tmp_path):
    for number in range(MOST_PANELS + 3):
        planted.density([1.0, 2.0 + number], method=f"slq[steps={number + 2}]", **DIM)
    shown = drawn(planted.spectrum())
    assert "3 more methods are not drawn" in shown.figures[0].caption
    (nodes,) = [file for file, what in shown.files if what == "nodes and weights"]
    text = (tmp_path / "page" / nodes).read_text()
    assert all(f"slq[steps={number + 2}]" in text for number in range(MOST_PANELS + 3))


HOSTILE = ["<script>alert(1)</script>", "a\x00b\u202ec", "x" * 300, "=1+1", "&amp;\"'", "\ud800"]


@pytest.mark.parametrize("name", HOSTILE, ids=["script", "controls", "long", "formula", "entity", "surrogate"])
def test_hostile_names_are_text(name, planted, tmp_path):
    planted.density([1.0, 2.0], method=name, problem=name, **DIM)
    planted.spectra()
    page, _ = write_spectra(Ledger.read(planted.folder).records, planted.folder, tmp_path / "page", "a command")
    text = page.read_text()
    assert "<script" not in text
    assert "\x00" not in text
    files = [part.partition('"')[0] for part in text.split('<img src="')[1:]]
    assert files
    assert all((page.parent / file).is_file() for file in files)


def test_answers_without_arrays_are_counted(planted):
    found = planted.density([1.0], **DIM).answer(None, "kpm", **DIM).spectrum()
    assert [answer.spent.method for answer in found.densities] == ["slq"]
    assert found.lost == 1


def test_a_file_that_is_gone_or_damaged_costs_one_answer(planted, drawn):
    planted.density([1.0], **DIM).density([2.0], method="kpm", **DIM)
    next(iter(planted.folder.rglob("arrays/**/*.npz"))).write_bytes(b"nothing")
    found = planted.spectrum()
    assert len(found.densities) == 1
    assert found.lost == 1
    assert "1 answer has no arrays here" in " ".join(drawn(found).remarks)


@pytest.mark.parametrize("rows", ["none", "traces only", "no arrays"])
def test_a_folder_without_a_spectrum_is_refused_in_one_sentence(rows, planted, tmp_path):
    if rows == "traces only":
        planted.answer({"trace": [1.0]}, estimand="trace", **DIM)
    if rows == "no arrays":
        planted.answer(None, **DIM)
    records = []
    if rows != "none":
        planted.spectra()
        records = Ledger.read(planted.folder).records
    with pytest.raises(ValueError, match="nothing of a spectrum is kept"):
        write_spectra(records, planted.folder, tmp_path / "page", "a command")
    assert not (tmp_path / "page").exists()


def test_repeats_are_averaged_and_read_from_the_ledger_folder_too(planted):
    for repeat in range(3):
        planted.density([float(repeat)], repeat=repeat, **DIM)
    planted.spectra()
    (found,) = kept_spectra(Ledger.read(planted.folder).records, planted.folder / "ledger")
    (answer,) = found.densities
    assert len(answer.measures) == 3
    np.testing.assert_allclose(answer.mean.nodes, [0.0, 1.0, 2.0])
    np.testing.assert_allclose(answer.mean.weights, 1 / 3)


def test_the_same_folder_gives_the_same_bytes(planted, tmp_path):
    planted.truth(np.linspace(-1, 2, 40)).density([-1.0, 0.5], **DIM)
    planted.spectra()
    records = Ledger.read(planted.folder).records
    pages = [write_spectra(records, planted.folder, tmp_path / it, "a command")[0].parent for it in ("one", "two")]
    files = [{file.name: file.read_bytes() for file in page.rglob("*") if file.is_file()} for page in pages]
    assert files[0] == files[1]
    assert len(files[0]) > 4


def marks_of(page, figure, kind):
    """Path data of a class of marks, panel by panel."""
    root = ET.fromstring((page / figure.file).read_bytes())
    return [part.get("d") for part in root.iter() if part.get("class") == kind]


def test_the_nodes_of_other_repeats_are_faint_dots(planted, drawn, tmp_path):
    for repeat in range(MOST_FAINT + 2):
        planted.density([1.0, 2.0, 3.0 + repeat], repeat=repeat, **DIM)
    (figure,) = [it for it in drawn(planted.spectrum()).figures if it.title == "Nodes"]
    (dots,) = marks_of(tmp_path / "page", figure, "others")
    assert dots.count("M") == 3 * (MOST_FAINT - 1)
    assert f"Faint dots: nodes of up to {MOST_FAINT - 1} other repeats" in figure.caption


def test_more_nodes_than_can_be_told_apart_are_those_of_the_first_repeat(planted, drawn, tmp_path):
    for repeat in range(3):
        planted.density(np.linspace(1, 2, MOST_STEMS // 2 + 1).tolist(), repeat=repeat, **DIM)
    (figure,) = [it for it in drawn(planted.spectrum()).figures if it.title == "Nodes"]
    assert marks_of(tmp_path / "page", figure, "others") == []


def test_one_repeat_is_said_to_have_no_others(planted, drawn):
    shown = drawn(planted.density([1.0], **DIM).answer({"eigenvalues": [2.0]}, estimand=TOP, **DIM).spectrum())
    assert all("repeats" not in figure.caption for figure in shown.figures)


def test_the_spread_of_eigenvalues_over_repeats_is_a_bar_where_it_can_be_seen(planted, drawn, tmp_path):
    for repeat, found in enumerate(([-8.0, 4.0, 2.0], [-8.0, 2.0], [-8.0, 3.0, 0.5])):
        planted.answer({"eigenvalues": found}, "lanczos", estimand=TOP, repeat=repeat, **DIM)
    spectrum = planted.spectrum()
    least, most = spectrum.values[0].spread
    assert least.tolist() == [8.0, 2.0, 0.5]
    assert most.tolist() == [8.0, 4.0, 2.0]
    (figure,) = drawn(spectrum).figures
    (bars,) = marks_of(tmp_path / "page", figure, "spread")
    assert bars.count("M") == 2
    assert "from the least to the largest magnitude at each rank over up to 3 repeats" in figure.caption


def test_the_nodes_of_many_repeats_are_written_as_far_as_they_fit_and_that_is_said(planted, drawn, tmp_path):
    for repeat in range(8):
        planted.density(np.linspace(0, 1, 1500).tolist(), repeat=repeat, dim=1500)
        planted.density([0.5], method="kpm", repeat=repeat, dim=1500)
    spectrum = planted.spectrum()
    assert written_repeats(spectrum) == 6
    ((file, what),) = drawn(spectrum).files
    assert what == "nodes and weights of 6 of up to 8 repeats, the others being too many for a page"
    table = pd.read_csv(tmp_path / "page" / file)
    assert len(table) == 6 * 1501
    assert set(table["repeat"]) == set(range(6))


def test_the_spread_over_repeats_is_in_the_numbers(planted):
    for repeat, found in enumerate(([-8.0, 4.0], [-9.0, 2.0])):
        planted.answer({"eigenvalues": found}, "lanczos", estimand=TOP, repeat=repeat, **DIM)
    table = values_frame(planted.spectrum())
    assert table[["repeats", "least_magnitude", "largest_magnitude"]].values.tolist() == [[2, 8, 9], [2, 2, 4]]

"""The page: complete, safe, whole on a disk, and the same every time."""

import base64
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser

import pytest

from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Status
from hessbench.reports.failures import failures
from hessbench.reports.page import render_report
from hessbench.reports.scale.figure import draw_scale

VOID = {"meta", "img", "br", "link", "input", "hr"}
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", r"\input{x}", "|", "=cmd()",
           "x" * 2000, "日本\u202e", "\ud800\x00"]  # fmt: skip
PLAIN = [f"plain-{number}" for number in range(len(HOSTILE))]


class Page(HTMLParser):
    """Collects tags, links, ids and text, and checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.ids, self.words, self.handlers = [], [], set(), [], []
        self.stack = []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value)
            if name == "id":
                assert value not in self.ids
                self.ids.add(value)
            if name.startswith("on"):
                self.handlers.append(name)
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def _assert_shown(page):
    """Every hostile text stands on the page as it is, nothing in it carried out."""
    for text in HOSTILE[:-2]:
        assert text in page.text
    assert "日本\N{REPLACEMENT CHARACTER}" in page.text


def _files(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture(scope="session")
def folder(ledger, tmp_path_factory):
    return render_report(ledger, tmp_path_factory.mktemp("report") / "page", "hessbench report out").parent


@pytest.fixture
def page(folder):
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def test_the_head_says_what_was_run_and_how_it_ended(page):
    head = page.text.partition("Answers Which method")[0]
    assert "43 cells: 36 ok 3 skipped 1 timeout 3 error Torn lines 1" in head
    for words in ("Suite quick-1", "Schema 1", "Report made by hessbench report out",
                  "Runs made by hessbench run quick-1"):  # fmt: skip
        assert words in page.text


def test_every_link_leads_to_a_file_or_a_place_on_the_page(page, folder):
    drawn = {str(file.relative_to(folder)) for file in (folder / "figures").glob("*.svg")}
    assert {link for link in page.links if link.endswith(".svg")} == drawn
    # Two of each problem and estimand; a front each of traces; profiles and targets reached of traces, by two costs.
    assert len(drawn) == 4 * 2 + 2 + 4
    for link in page.links:
        assert not re.match(r"[a-z]+:|//", link)
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert (folder / link).is_file()


def test_nothing_is_fetched_from_a_network(folder):
    text = (folder / "index.html").read_text()
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
    assert "@import" not in text
    assert "url(" not in text
    for file in (folder / "figures").glob("*.svg"):
        assert not re.search(r"(?:href|src)=\"(?!#)", file.read_text())


def test_every_figure_has_a_caption_that_says_what_is_special(page):
    assert page.tags.count("svg") == 8
    assert page.tags.count("figcaption") == page.tags.count("svg") + page.tags.count("img")
    assert "Markers: median over the repeats at each budget, 3 of them." in page.text
    assert "Shaded: from the least to the largest repeat." in page.text
    assert "at or below the bound: drawn on it, open" in page.text
    assert "3 answers without a finite error not drawn" in page.text


def test_the_prediction_says_that_it_is_one_and_how_far_off_the_last_was(page):
    assert "are predictions, not measurements" in page.text
    assert "14.4 ms predicted, 15.0 ms measured at 1,000,000: 1.04\N{MULTIPLICATION SIGN}" in page.text


def test_every_failure_is_listed_and_skips_are_apart(page):
    failed, _, skipped = page.text.partition("Skipped: cells that were not run")
    assert "ValueError: |r| is 0 at line 3" in failed
    assert "60 s passed" in failed
    assert "factor" in skipped
    assert "mc-diag" not in failed


def test_the_environment_is_a_table(page):
    assert "versions.torch 2.13.0" in page.text


def test_repeats_that_failed_alike_are_one_row_with_all_cells(ledger):
    error = next(failure for failure in failures(ledger.records) if failure.status == "error")
    assert error.repeats == "0, 1, 2"
    assert len(set(error.cells)) == 3


def test_two_renders_are_the_same_bytes(builder, tmp_path):
    builder.cell()
    builder.cell(method="other", repeat=1)
    one, two = (render_report(Ledger(tuple(builder.rows)), tmp_path / name, "c").parent for name in ("one", "two"))
    assert _files(one) == _files(two)
    assert len([name for name in _files(one) if name.endswith(".svg")]) == 3


@pytest.mark.usefixtures("undrawn")
def test_two_renders_of_everything_are_the_same_bytes_as_far_as_they_are_not_drawn(ledger, builder, scaled, tmp_path):
    for number, known in enumerate((ledger, scaled(builder))):
        one, two = (render_report(known, tmp_path / f"{name}{number}", "c").parent for name in ("one", "two"))
        assert _files(one) == _files(two)


def test_every_figure_is_small(folder):
    assert all(len(data) < 300_000 for name, data in _files(folder).items() if name.endswith(".svg"))


@pytest.mark.usefixtures("undrawn")
def test_a_report_replaces_an_earlier_one_and_its_figures(builder, tmp_path):
    builder.cell("first", also=("density",))
    render_report(Ledger(tuple(builder.rows)), tmp_path, "c")
    assert len(list((tmp_path / "figures").glob("*.svg"))) == 4
    builder.rows.clear()
    builder.cell("only")
    render_report(Ledger(tuple(builder.rows)), tmp_path, "c")
    assert len(list((tmp_path / "figures").glob("*.svg"))) == 2


def test_a_folder_with_something_else_is_refused_and_left_alone(ledger, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match="holds something else"):
        render_report(ledger, tmp_path, "c")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(ValueError, match="out must be a folder"):
        render_report(ledger, tmp_path / "thesis.tex", "c")


@pytest.mark.usefixtures("undrawn")
def test_hostile_text_adds_no_tag_and_no_handler(builder, make_price, tmp_path):
    def page(texts, folder):
        builder.rows.clear()
        prices = []
        facts = {}
        for text in texts:
            builder.cell(text, text, "trace", suite=text, environment=text)
            builder.cell(text, text, "trace", repeat=1, status=Status.CRASH, reason=text)
            builder.cell(text, text, text, repeat=2, status=Status.SKIPPED, reason=text)
            prices += [make_price(10, 1.0, problem=text), make_price(20, 2.0, problem=text)]
            facts[text] = {text: text, "command": text, "nested": {text: [text]}}
        made = Ledger(tuple(builder.rows), facts, tuple(prices))
        parsed = Page(render_report(made, folder, " ".join(texts)).read_text(encoding="utf-8"))
        for link in parsed.links:
            assert link.startswith("#") or (folder / link).is_file()
        return parsed

    hostile, plain = page(HOSTILE, tmp_path / "hostile"), page(PLAIN, tmp_path / "plain")
    assert hostile.tags == plain.tags
    assert hostile.handlers == []
    _assert_shown(hostile)


def test_only_our_script_may_run(folder):
    text = (folder / "index.html").read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


@pytest.mark.usefixtures("undrawn")
def test_the_methods_of_the_ledger_are_cited_and_no_others(builder, tmp_path):
    builder.cell(method="lanczos[reorth=none]")
    builder.cell(method="lanczos")
    builder.cell(method="home-made")
    builder.cell(method="silent")
    known = {"lanczos": "Lanczos (1950), doi:10.6028/x", "kpm": "Weisse (2006)", "silent": " "}
    page = Page(render_report(Ledger(tuple(builder.rows)), tmp_path, "c", known).read_text(encoding="utf-8"))
    section = page.text.partition("Where the methods come from")[2].partition("The ledger holds no environment")[0]
    assert section.count("lanczos Lanczos (1950), doi:10.6028/x") == 1
    for absent in ("home-made", "silent", "kpm", "Weisse"):
        assert absent not in section
    assert "https://doi.org/10.6028/x" in page.links
    assert "@misc{source1950," in (tmp_path / "sources.bib").read_text(encoding="utf-8")
    render_report(Ledger(tuple(builder.rows)), tmp_path, "c")
    assert not (tmp_path / "sources.bib").exists()


def test_a_report_without_citations_says_so(page):
    assert "No source of these methods is known here" in page.text
    assert "sources" in page.ids


@pytest.mark.usefixtures("undrawn")
def test_hostile_citations_add_no_tag_and_no_handler(builder, tmp_path):
    names = [f"mine-{number}" for number in range(len(HOSTILE))]
    for name in names:
        builder.cell(method=name)

    def page(texts):
        citations = dict(zip(names, texts, strict=True))
        written = render_report(Ledger(tuple(builder.rows)), tmp_path, "c", citations)
        return Page(written.read_text(encoding="utf-8"))

    hostile, plain = page(HOSTILE), page(PLAIN)
    assert hostile.tags == plain.tags
    assert hostile.handlers == []
    assert hostile.links == plain.links
    _assert_shown(hostile)


def test_an_empty_ledger_still_gives_a_page(tmp_path):
    text = Page(render_report(Ledger(()), tmp_path, "c").read_text()).text
    assert "No cell has run yet" in text
    assert "No cell failed" in text


@pytest.fixture
def scaled(make_price):
    """A ledger of one method at three sizes, under any names."""

    def make(builder, family="student-t", method="lanczos"):
        for n in (10**4, 10**5, 10**6):
            known = {"dim": n, "budgets": (20,), "wall_s": n * 540e-9, "operator_s": n * 300e-9}
            builder.cell(f"{family}[n={n}]", method, counts={"product": 20}, **known)
        prices = tuple(make_price(n, n * 1e-8, problem=family) for n in (10**4, 10**5))
        return Ledger(tuple(builder.rows), {}, prices)

    return make


@pytest.mark.usefixtures("undrawn")
def test_runs_at_several_sizes_are_predicted_against_measured(builder, scaled, monkeypatch, tmp_path):
    monkeypatch.setattr("hessbench.reports.page.pictures.draw_scale", draw_scale)
    folder = render_report(scaled(builder), tmp_path, "c").parent
    page = Page((folder / "index.html").read_text(encoding="utf-8"))
    section = page.text.partition("What was run at several sizes")[2].partition("No cell failed")[0]
    assert "360 ms products 200 ms, own 160 ms" in section
    assert "540 ms products 300 ms, own 240 ms 1.50\N{MULTIPLICATION SIGN}" in section
    assert "no memory pass in this ledger" in section
    for link in page.links:
        assert link[1:] in page.ids if link.startswith("#") else (folder / link).is_file()
    assert {file.suffix for file in (folder / "figures").glob("scale-*")} == {".svg", ".csv"}
    (figure,) = (folder / "figures").glob("scale-*.svg")
    assert b"<svg" in figure.read_bytes()
    assert {"scale.md", "scale.tex", "scale.csv"} <= set(_files(folder))


@pytest.mark.usefixtures("undrawn")
def test_a_report_without_several_sizes_says_so_and_leaves_no_table_of_an_earlier_one(builder, scaled, tmp_path):
    render_report(scaled(builder), tmp_path, "c")
    builder.rows.clear()
    builder.cell()
    text = Page(render_report(Ledger(tuple(builder.rows)), tmp_path, "c").read_text()).text
    assert "no prediction can be checked here" in text
    assert not [name for name in _files(tmp_path) if "scale" in name]


@pytest.mark.usefixtures("undrawn")
def test_hostile_names_in_the_comparison_add_no_tag_and_no_handler(builder, scaled, tmp_path):
    def page(texts, folder):
        builder.rows.clear()
        made = [scaled(builder, text, text) for text in texts]
        ledger = Ledger(tuple(builder.rows), {}, tuple(price for one in made for price in one.prices))
        return Page(render_report(ledger, folder, "c").read_text(encoding="utf-8"))

    hostile, plain = page(HOSTILE, tmp_path / "hostile"), page(PLAIN, tmp_path / "plain")
    assert hostile.tags == plain.tags
    assert hostile.handlers == []
    _assert_shown(hostile)


def test_the_page_holds_the_table_in_every_format(folder):
    names = {file.name for file in folder.iterdir() if file.is_file()}
    tables = {"table.md", "table.tex", "table.csv", "gradients.csv"}
    assert names == {"index.html", *tables, "answers.csv", "repeats.csv", "rows.csv", "failures.csv"}


def test_the_head_answers_and_each_section_answers_again(page):
    head, _, rest = page.text.partition("Every method")
    for words in ("Within 10 %", "Within 1 %", "Within 0.1 %", "lanczos", "products", "3 of 3 repeats"):
        assert words in head
    assert "Within 1 %: lanczos" in rest


def test_a_section_has_its_table_with_what_counts_first(page, folder):
    text = (folder / "index.html").read_text(encoding="utf-8")
    heads = re.search(r'<table class="sortable numbers lines">\n<thead>(.*?)</thead>', text, flags=re.DOTALL)[1]
    names = re.findall(r'<th scope="col" class="([^"]*)"[^>]*>([A-Z][^<]*)', heads)
    shown = [name for kind, name in names if " w" not in kind]
    assert shown == ["Method", "Budget", "Error", "Seconds", "Products", "Peak"]
    assert {"Build", "Wall clock", "Calls", "Status"} <= {name for kind, name in names if " w" in kind}


def test_what_is_no_answer_is_folded_and_comes_last(folder):
    text = (folder / "index.html").read_text(encoding="utf-8")
    places = [text.index(f'id="{name}"') for name in ("answers", "prediction", "failures", "sources", "environment")]
    assert places == sorted(places)
    assert text.rindex('class="question"') < places[1]
    assert "<details open" not in text


def test_every_picture_has_its_size_and_every_scroll_box_a_name(monkeypatch, ledger, tmp_path):
    monkeypatch.setattr("hessbench.reports.page.pictures.INLINE_LIMIT", 0)
    text = render_report(ledger, tmp_path / "page", "c").read_text(encoding="utf-8")
    pictures = re.findall(r"<img [^>]*>", text)
    assert len(pictures) == 8 + 6
    assert all(re.search(r' width="\d+" height="\d+"', picture) for picture in pictures)
    boxes = re.findall(r'<div class="scroll[^>]*>', text)
    assert all('tabindex="0" role="region" aria-label="' in box for box in boxes)
    assert len({re.search('aria-label="([^"]*)"', box)[1] for box in boxes}) == len(boxes)


def test_headings_step_down_one_by_one(folder):
    levels = [int(level) for level in re.findall(r"<h([1-6])", (folder / "index.html").read_text(encoding="utf-8"))]
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))


def test_the_cells_behind_a_row_are_on_the_page(folder, ledger):
    text = (folder / "index.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)[1])
    ids, lines = data["cells"][0]
    assert set(ids) <= {row.cell for row in ledger.records}
    assert all(0 <= cell[1] < len(ids) for line in lines for cell in line)
    assert "lanczos" in data["methods"]
    rows = re.findall(r'<tr data-m="\d+" data-b="\d+"', text)
    assert len(rows) == sum(len(lines) for _, lines in data["cells"])


@pytest.mark.usefixtures("undrawn")
def test_hostile_names_cannot_end_the_block_of_data(builder, tmp_path):
    builder.cell("p</script><script>alert(1)</script>", "m</script><!--", "trace")
    text = render_report(Ledger(tuple(builder.rows)), tmp_path, "c").read_text(encoding="utf-8")
    assert text.count("</script>") == 2
    block = re.search(r'id="data">(.*?)</script>', text, flags=re.DOTALL)[1]
    assert json.loads(block)["methods"] == ["m</script><!--"]
    assert "<" not in block


@pytest.mark.usefixtures("undrawn")
def test_a_budget_on_the_way_is_a_row_that_waits_for_its_filter(builder, tmp_path):
    builder.cell(budgets=(10, 20))
    text = render_report(Ledger(tuple(builder.rows)), tmp_path, "c").read_text(encoding="utf-8")
    assert '<tr data-m="0" data-b="20"><th' in text
    assert '<tr data-m="0" data-b="10" class="less" hidden><th' in text
    assert '<option value="10">10</option>' in text


@pytest.mark.usefixtures("undrawn")
def test_the_errors_that_tables_and_answers_show_are_the_same(builder, tmp_path):
    for repeat in range(3):
        builder.cell(repeat=repeat, error=lambda budget: 0.001, errors={"relative": 0.02, "trace_share": 0.05})
    text = render_report(Ledger(tuple(builder.rows)), tmp_path, "c").read_text(encoding="utf-8")
    page = Page(text)
    assert "Within 10 %: lanczos" in page.text
    assert "Within 1 %: not reached; nearest lanczos: 2 % at worst" in page.text
    assert 'data-s="0.02">2 %' in text


def test_a_page_that_would_be_large_says_what_it_leaves_to_its_files(monkeypatch, ledger, folder, tmp_path):
    whole = (folder / "index.html").read_text(encoding="utf-8")
    monkeypatch.setattr("hessbench.reports.page.render.PAGE_LIMIT", len(whole) - 1000)
    fewer = render_report(ledger, tmp_path / "fewer", "c").read_text(encoding="utf-8")
    assert "figures are shown from their files, so that their legends do not switch." in fewer
    assert fewer.count("<img") == 8 + 6
    assert 'class="less"' in fewer
    monkeypatch.setattr("hessbench.reports.page.render.PAGE_LIMIT", 1)
    least = render_report(ledger, tmp_path / "least", "c").read_text(encoding="utf-8")
    assert "costs at each tolerance, rows at smaller budgets and further columns are left out." in least
    assert 'class="less"' not in least
    assert ' w">Gradient-equivalents' in whole
    assert ' w">Gradient-equivalents' not in least
    assert "Within 1 %: <b" in least
    assert "To keep this page small" not in whole

"""The folder of a page is nobody else's."""

import pytest

from hessbench.reports.folders import GENERATOR, check_folder, templates, write_text


def test_a_new_an_empty_and_an_earlier_pages_folder_are_taken_and_nothing_is_made(tmp_path):
    assert check_folder(tmp_path / "new", "page") == tmp_path / "new"
    assert not (tmp_path / "new").exists()
    assert check_folder(tmp_path, "page") == tmp_path
    write_text(tmp_path / "index.html", f"<!doctype html>\n{GENERATOR}\n")
    assert check_folder(tmp_path, "page") == tmp_path


@pytest.mark.parametrize(("file", "text"), [("mine.txt", "mine"), ("index.html", "<html>mine</html>")])
def test_what_holds_something_else_is_refused_and_left(tmp_path, file, text):
    (tmp_path / file).write_text(text)
    with pytest.raises(ValueError, match=r"out must be new, empty or an earlier study; .* holds something else"):
        check_folder(tmp_path, "study")
    with pytest.raises(ValueError, match=f"out must be a folder, {file} is a file"):
        check_folder(tmp_path / file, "study")
    assert (tmp_path / file).read_text() == text


def test_values_are_escaped_and_lose_their_control_characters():
    shown = templates().from_string("{{ value }}").render(value="<b>\x1b\x00</b>")
    assert "<b>" not in shown
    assert "\x1b" not in shown
    assert "\x00" not in shown

"""The folder of a page is nobody else's."""

import multiprocessing
import os
import signal
import time

import pytest

from hessbench.reports.writing.folders import GENERATOR, check_folder, page_folder, templates, write_text


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


def write(out, text, figures=(), before=lambda: None):
    with page_folder(out, "page", own=("figures/*.svg",)) as folder:
        (folder / "figures").mkdir()
        for name in figures:
            write_text(folder / "figures" / name, text)
        before()
        write_text(folder / "index.html", f"{GENERATOR}{text}")


def files(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_a_page_replaces_an_earlier_one_and_leaves_what_others_put_there(tmp_path):
    write(tmp_path / "out", "one", ["a.svg", "b.svg"])
    (tmp_path / "out" / "notes.txt").write_text("mine")
    write(tmp_path / "out", "two", ["b.svg", "c.svg"])
    assert files(tmp_path / "out") == ["figures/b.svg", "figures/c.svg", "index.html", "notes.txt"]
    assert (tmp_path / "out" / "figures" / "b.svg").read_text() == "two"


def fails():
    raise OSError(28, "no space left on device")


@pytest.mark.parametrize("killed", [False, True])
def test_a_page_that_was_not_finished_blocks_nothing_and_spoils_nothing(tmp_path, killed):
    def unfinished(out):
        if killed:
            process = multiprocessing.get_context("fork").Process(
                target=write, args=(out, "new", ["n.svg"], lambda: os.kill(os.getpid(), signal.SIGKILL))
            )
            process.start()
            process.join()
        else:
            with pytest.raises(OSError, match="no space"):
                write(out, "new", ["n.svg"], fails)

    unfinished(tmp_path / "first")
    assert "not finished" in (tmp_path / "first" / "index.html").read_text()
    write(tmp_path / "first", "again", ["a.svg"])
    assert files(tmp_path / "first") == ["figures/a.svg", "index.html"]
    unfinished(tmp_path / "first")
    assert (tmp_path / "first" / "index.html").read_text() == f"{GENERATOR}again"
    assert (tmp_path / "first" / "figures" / "a.svg").read_text() == "again"


def test_two_that_write_one_page_at_once_both_end_well(tmp_path):
    context = multiprocessing.get_context("fork")
    inside = context.Event()

    def slow():
        inside.set()
        time.sleep(0.3)

    first = context.Process(target=write, args=(tmp_path / "out", "first", ["a.svg"], slow))
    first.start()
    inside.wait()
    write(tmp_path / "out", "second", ["b.svg"])
    first.join()
    assert first.exitcode == 0
    assert files(tmp_path / "out") == ["figures/b.svg", "index.html"]


def test_a_link_to_a_folder_is_that_folder_and_one_to_nowhere_is_refused(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to("far")
    for text in ("one", "two"):
        write(tmp_path / "near", text, ["a.svg"])
    assert (tmp_path / "near").is_symlink()
    assert (tmp_path / "far" / "index.html").read_text() == f"{GENERATOR}two"
    (tmp_path / "lost").symlink_to("nowhere")
    with pytest.raises(ValueError, match="out must be a folder, lost is a link to nowhere"):
        check_folder(tmp_path / "lost", "page")


def test_values_are_escaped_and_lose_their_control_characters():
    shown = templates().from_string("{{ value }}").render(value="<b>\x1b\x00</b>")
    assert "<b>" not in shown
    assert "\x1b" not in shown
    assert "\x00" not in shown


@pytest.mark.parametrize("failing", ["write", "rename"])
def test_a_folder_whose_claim_failed_is_taken_the_next_time(failing, tmp_path, monkeypatch):
    def torn(file, text):
        file.write_text(text[:20])
        raise OSError(28, "No space left on device")

    def no_room(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if failing == "write":
            patch.setattr("hessbench.reports.writing.folders.write_text", torn)
        else:
            patch.setattr("pathlib.Path.replace", no_room)
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / "page", "one")
    write(tmp_path / "page", "two")
    assert files(tmp_path / "page") == ["index.html"]

"""What may be written to a ledger: no absolute path, no host or user name, no control character."""

import getpass
import socket

import pytest

from hessbench.redact import LIMIT, redact


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("/home/someone/runs/plugin.py", "plugin.py"),
        ("in /tmp/a/b.py:12 of it", "in b.py:12 of it"),
        ("--out /scratch", "--out scratch"),
        ("--out=/home/someone/x", "--out=x"),
        ("flags -I/usr/include/x -L/usr/lib", "flags -Ix -Llib"),
        ("PATH=/a/b:/c/d", "PATH=b:d"),
        ("where:/home/someone/x", "where:x"),
        ("~/secret/x.py", "x.py"),
        ("file:///home/someone/x", "x"),
        ("//server/share/x", "x"),
        (r"C:\Users\someone\x.py", "x.py"),
        (r"\\server\share\x.py", "x.py"),
        ("No such file: '/home/some one/my runs/x y.py'", "No such file: 'x y.py'"),
        ('File "/home/some one/x.py", line 3', 'File "x.py", line 3'),
        ("(/a/b/c)", "(c)"),
        ("/a/b\n/c/d", "b\nd"),
    ],
)
def test_an_absolute_path_is_cut_to_its_last_part(text, clean):
    assert redact(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "runs/demo/x.py",
        "./x/y ../a/b",
        "1 / 2 and n/a and w/o",
        "https://doi.org/10.1137/1.9781611976496.16",
        "doi:10.1090/S0025-5718-69-99647-1",
        "student-t[n=1000,zero_fraction=0.9]",
        "3/4 of 5 GiB/s",
        "line\tof\nlines",
        "",
    ],
)
def test_what_is_no_absolute_path_stays(text):
    assert redact(text) == text


def test_control_characters_become_blanks():
    assert redact("a\x00b\x1b[31mc\x7f\rd") == "a b [31mc  d"


def test_a_long_text_is_cut():
    assert redact("x" * LIMIT) == "x" * LIMIT
    assert redact("x" * (LIMIT + 1)) == "x" * LIMIT + " [cut]"


@pytest.mark.parametrize("host", ["node17", "node17.cluster.example"])
def test_the_host_name_is_hidden_with_and_without_its_domain(monkeypatch, host):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert redact(f"ssh {host}: node17 refused") == "ssh HOST: HOST refused"
    assert redact("node171 and mynode17") == "node171 and mynode17"


def test_the_user_name_is_hidden_also_as_the_last_part_of_a_path(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "alice")
    assert redact("/home/alice and alice@x but malice") == "USER and USER@x but malice"


@pytest.mark.parametrize("user", ["root", "li", ""])
def test_a_user_name_that_names_nobody_is_left(monkeypatch, user):
    monkeypatch.setattr(getpass, "getuser", lambda: user)
    assert redact("the root of li") == "the root of li"


@pytest.mark.parametrize("failure", [KeyError, OSError])
def test_a_user_the_system_does_not_know_is_no_failure(monkeypatch, failure):
    def unknown():
        raise failure

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert redact("/a/b text") == "b text"

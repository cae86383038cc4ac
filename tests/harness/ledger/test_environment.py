"""The captured conditions: complete, the same twice, and without host, user or path."""

import getpass
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hessbench.ledger import environment
from hessbench.ledger.environment import capture, environment_hash, is_loaded, library_version


def texts(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


def test_nothing_names_a_host_a_user_or_an_absolute_path(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "secret-host")
    monkeypatch.setattr(getpass, "getuser", lambda: "secret-user")
    monkeypatch.setenv("MALLOC_CONF", "prof_prefix:/home/secret-user/heap")
    arguments = ["--out", "/home/secret-user", "--plugin=/srv/secret-user/x/p.py", "secret-host:/data/x", "~/deep/er"]
    monkeypatch.setattr(sys, "argv", ["/opt/venv/bin/hessbench", "run", "quick", *arguments])
    facts = capture()
    for text in texts(facts):
        assert "secret-host" not in text
        assert "secret-user" not in text
        assert not re.search(r"(^|[\s=:'\"(,])(~|[A-Za-z]:)?[/\\]\w", text), text
    assert str(Path.home()) not in json.dumps(facts)
    assert facts["command"] == "hessbench run quick --out USER --plugin=p.py HOST:x er"
    assert facts["allocator"]["MALLOC_CONF"] == "prof_prefix:heap"


def test_the_command_is_what_a_user_would_type(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/x/y/hessbench/__main__.py", "plan", "quick"])
    assert capture()["command"] == "hessbench plan quick"
    monkeypatch.setattr(sys, "argv", ["/x/y/study.py"])
    assert capture()["command"] == "study.py"


def test_what_decides_the_numbers_is_captured():
    facts = capture()
    assert {"python", "kernel", "cpu", "cpus_usable", "memory_bytes", "versions", "commit", "dirty", "blas"} <= set(
        facts
    )
    assert {"blas", "threads_default", "deterministic", "tf32_matmul", "tf32_cudnn", "allocator"} <= set(facts)
    assert facts["versions"]["torch"] != "absent"
    assert json.loads(json.dumps(facts)) == facts


def test_the_hash_leaves_out_what_changes_from_run_to_run():
    facts = capture()
    later = {**facts, "load_1min": 99.0, "command": "other", "memory_available_bytes": 1}
    assert environment_hash(later) == environment_hash(facts) == environment_hash(dict(reversed(facts.items())))
    for name, value in {"threads_default": 99, "cpu": "other", "allocator": {"MALLOC_X": "1"}, "dirty": "?"}.items():
        assert environment_hash({**facts, name: value}) != environment_hash(facts)


def test_a_device_that_is_not_there_is_said():
    device = capture("cuda")["device"]
    assert device["type"] == "cuda"
    assert device.get("available") is False or device["model"]
    assert capture("cpu")["device"] == {"type": "cpu"}


def test_the_library_behind_a_method_is_named_with_its_version():
    assert library_version("") == library_version("hessbench")
    assert re.fullmatch(r"numpy \d.*", library_version("numpy"))
    assert library_version("no-such-library") == "no-such-library absent"


@pytest.mark.parametrize(
    ("load", "threads", "loaded"), [(0.0, 4, False), (0.4, 4, False), (1.0, 4, True), (3.5, 1, False)]
)
def test_a_machine_is_loaded_when_fewer_processors_are_free_than_asked(monkeypatch, load, threads, loaded):
    monkeypatch.setattr(environment.os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(environment.os, "cpu_count", lambda: 4)
    assert is_loaded(threads) is loaded


def test_looking_at_a_checkout_writes_nothing_into_it(tmp_path):
    file = tmp_path / "file"
    file.write_text("one")
    for arguments in (["init", "-q"], ["add", "file"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    index = tmp_path / ".git" / "index"
    os.utime(file, (1, 1))  # other times, the same content: what makes git write its index anew
    before = index.read_bytes()
    assert environment._git(tmp_path, "status", "--porcelain") == "A  file"
    assert index.read_bytes() == before

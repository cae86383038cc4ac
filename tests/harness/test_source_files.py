"""What a plugin is made of: the files beside it that it imports, and no library."""

from pathlib import Path

import pytest

from hessbench.source_files import source_files


@pytest.fixture
def written(tmp_path):
    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def names(folder: Path, first: str) -> list[str]:
    return [path.relative_to(folder.resolve()).as_posix() for path in source_files(folder / first)]


def test_files_beside_it_are_followed_to_any_depth_and_libraries_are_not(written):
    folder = written(
        {
            "plug.py": "import os, torch\nimport helper\ndef run():\n    from late import x\n",
            "helper.py": "from parts.one import f\nimport numpy as np\n",
            "late.py": "import plug\n",
            "parts/__init__.py": "",
            "parts/one.py": "from . import two\nfrom .three import z\n",
            "parts/two.py": "",
            "parts/three.py": "from parts import four\n",
            "parts/four.py": "",
            "unused.py": "",
        }
    )
    assert names(folder, "plug.py") == [
        "plug.py", "helper.py", "late.py",
        "parts/__init__.py", "parts/four.py", "parts/one.py", "parts/three.py", "parts/two.py",
    ]  # fmt: skip


def test_a_package_names_itself(written):
    folder = written(
        {
            "mine/__init__.py": "from mine.methods.slow import run\n",
            "mine/methods/__init__.py": "",
            "mine/methods/slow.py": "from ..steps import one\nfrom mine.deep import two\n",
            "mine/steps.py": "",
            "mine/deep.py": "",
        }
    )
    assert set(names(folder, "mine/methods/slow.py")) == {
        "mine/methods/slow.py", "mine/methods/__init__.py", "mine/steps.py", "mine/deep.py", "mine/__init__.py",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["def (:", "from .... import far\n", "\0"])
def test_a_file_that_cannot_be_followed_stands_alone(text, written):
    assert names(written({"plug.py": text}), "plug.py") == ["plug.py"]

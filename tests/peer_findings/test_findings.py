"""Every finding about a published library still holds for the version that is installed."""

import re
import runpy
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parent
MODULES = {"eigenthings": "hessian_eigenthings"}
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if path != Path(__file__))
SLOW = {"curvlinops_density_bounds"}


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.stem, marks=pytest.mark.slow if path.stem in SLOW else ()) for path in SCRIPTS]
)
def test_a_finding_holds(path):
    module = path.stem.split("_")[0]
    if find_spec(MODULES.get(module, module)) is None:
        pytest.skip(f"{module} is not installed")
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runpy.run_path(str(path), run_name="__main__")
    finally:
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)


def test_the_readme_lists_every_script_and_no_other():
    listed = re.findall(r"^\| `(\w+\.py)`", (FOLDER / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(listed) == [path.name for path in SCRIPTS]

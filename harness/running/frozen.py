"""Suites that never change: the hash of every version that ships, so that what was published with it stays its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from hessbench.running.suite import Suite, built_in_suites, shipped_text

FROZEN: Final[Mapping[str, str]] = {
    "eigenvalues-1": "e3d56c2a0fc034f162634cf328afb20cc1944a6830e789b9c0a30a34fc2345c2",
    "few-gradients-1": "fcd3fd1d97ad7bb921df4b6eddae440a70c32b30b289c002b549f8d9fe0d1f1d",
    "ladder-1": "1291f8b5df814f06a001fddc053249ea992b7d8b2d63c885327d5fb13e601176",
    "networks-1": "7bf290c4d8e18c2b10ef86922437248961f5817c2e49dd5d332ed56b76afae89",
    "peers-density-1": "64f3e8d65df42d13c889a00c41c9605744e610ee9fd4c20e761ce208c49536dd",
    "peers-diagonal-1": "9f613f030cc8f6aec92a2f4215efa916b9688af4374d05680b2c0209a81051b1",
    "peers-diagonal-2": "db885d5d959d66ce4e04c3a8fdf9f097c90884e3ec71b2d450f989265be0cf2c",
    "peers-eigen-1": "b6f807e1f6909c1d2bfb928138393bf8b5db0d49ea471cae38194cb989955c88",
    "peers-quick-1": "5392f45fc731b46b5c7e92b4462eda3269beffb73809f31b40e2c0038f339acc",
    "peers-quick-2": "840ce4761dc2094b8dc6f47e0fb3b81d03d9121af3a1f8f279367b2a7d3bd81a",
    "peers-trace-1": "5e3b3e68eb4c1fc5fc60593bfc8c85328829c8b1d7cbe7e64985fb3a93bf76c1",
    "peers-trace-2": "2eac83390cd9072972ec5cf41c538d0c9495077957209bc4dd96d5b6716421e0",
    "quick-2": "8c3a65a35eb4028e181859a9903e633adb7163dc80035fab196ad159c30617b6",
    "sketch-study-1": "cb12eab8c01eef48a4eddfa4ea61b2dab1432b19b0ce200d8c409624c395d05a",
    "spectral-functions-1": "a3e35da13bc224d892aef5d1c7db276a799bf5c93fa022f7ea093fd1f4ca7aa3",
}
"""SHA-256 of what each version of a suite crosses, by name and version. Lines are added and never changed: another
crossing is another version."""


def suite_hash(suite: Suite) -> str:
    """SHA-256 of what a suite crosses, under which conditions; comments and the order of keys are no part of it."""
    crosses: list[dict[str, Any]] = [
        {
            "estimand": cross.estimand,
            "problems": list(cross.problems),
            "methods": list(cross.methods),
            "num_matvecs": list(cross.num_matvecs),
            "repeats": cross.repeats,
            "memory": cross.memory,
        }
        for cross in suite.crosses
    ]
    described = {
        "name": suite.name,
        "version": suite.version,
        "device": suite.device,
        "dtype": suite.dtype,
        "threads": suite.threads,
        "cross": crosses,
    }
    text = json.dumps(described, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_frozen(suite: Suite, frozen: Mapping[str, str] = FROZEN) -> str:
    """The hash of a suite, which must be that of its version.

    Raises:
        ValueError: If no such version is frozen, or it crosses something else.
    """
    found = suite_hash(suite)
    known = frozen.get(suite.label)
    if known is None:
        raise ValueError(f"the suite {suite.label} is not frozen: accepted are {', '.join(sorted(frozen)) or 'none'}")
    if found != known:
        raise ValueError(
            f"the suite {suite.label} does not cross what its version does (hash {found[:12]}, frozen {known[:12]}): "
            "another crossing needs another version"
        )
    return found


def shipped_suite(label: str) -> tuple[Suite, str]:
    """The suite that ships under a name and version, and its text.

    Raises:
        ValueError: If it does not ship, or ships in another version.
    """
    name = label.rpartition("-")[0]
    if name not in built_in_suites():
        raise ValueError(f"the suite {label or 'without a name'} does not ship: a run of one of "
                         f"{', '.join(built_in_suites())} is accepted")  # fmt: skip
    text = shipped_text(name)
    suite = Suite.parse(text, f"{name}.toml")
    if suite.label != label:
        raise ValueError(f"{label} is not the version that ships, {suite.label} is: run that one")
    return suite, text

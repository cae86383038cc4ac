"""A benchmark harness for matrix-free estimators of curvature spectra, with a cost ledger.

Every name is imported when it is first used: `import hessbench` alone loads neither torch nor anything else.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hessbench.counting import BudgetExceeded, CountingOperator
    from hessbench.estimand import (
        CountAbove,
        Density,
        Diagonal,
        Estimand,
        Estimate,
        LogDeterminant,
        Mass,
        Reference,
        Solve,
        Source,
        TopEigenspace,
        TopEigenvalues,
        Trace,
        TraceFunction,
    )
    from hessbench.ledger.reading import Ledger
    from hessbench.ledger.record import Record, Status
    from hessbench.method import Footprint, Method
    from hessbench.operators import LinearOperator, OperatorInfo, ProductKind
    from hessbench.problem import Problem, ProblemFamily
    from hessbench.running.notebook import evaluate
    from hessbench.running.runner import Options, run
    from hessbench.running.suite import Suite
    from hessbench.seeding import seeded_globally

    __version__: str

__all__ = [
    "BudgetExceeded",
    "CountAbove",
    "CountingOperator",
    "Density",
    "Diagonal",
    "Estimand",
    "Estimate",
    "Footprint",
    "Ledger",
    "LinearOperator",
    "LogDeterminant",
    "Mass",
    "Method",
    "OperatorInfo",
    "Options",
    "Problem",
    "ProblemFamily",
    "ProductKind",
    "Record",
    "Reference",
    "Solve",
    "Source",
    "Status",
    "Suite",
    "TopEigenspace",
    "TopEigenvalues",
    "Trace",
    "TraceFunction",
    "__version__",
    "evaluate",
    "run",
    "seeded_globally",
]

_NAMES: Final = {
    "counting": "BudgetExceeded CountingOperator",
    "estimand": (
        "CountAbove Density Diagonal Estimand Estimate LogDeterminant Mass Reference Solve Source "
        "TopEigenspace TopEigenvalues Trace TraceFunction"
    ),
    "ledger.reading": "Ledger",
    "ledger.record": "Record Status",
    "method": "Footprint Method",
    "operators": "LinearOperator OperatorInfo ProductKind",
    "problem": "Problem ProblemFamily",
    "running.notebook": "evaluate",
    "running.runner": "Options run",
    "running.suite": "Suite",
    "seeding": "seeded_globally",
}
"""Where each name lives; a test holds it against `__all__` and the imports above."""

_HOMES: Final = {name: f"hessbench.{module}" for module, names in _NAMES.items() for name in names.split()}


def _look_up(name: str) -> object:
    """Import what a name of this package stands for, once.

    Raises:
        AttributeError: If it has none of that name.
    """
    if name in _HOMES:
        value: object = getattr(import_module(_HOMES[name]), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("hessbench")
    else:
        value = _module(name)
    globals()[name] = value
    return value


def _module(name: str) -> object:
    """A module of this package, as `hessbench.transforms` after `import hessbench` alone.

    Raises:
        AttributeError: If it has none of that name.
    """
    whole = f"hessbench.{name}"
    if not name.startswith("_") and find_spec(whole):
        return import_module(whole)
    raise AttributeError(f"module 'hessbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:
    # Hidden from type checkers, to whom a module that answers any name would hide every typing mistake.
    __getattr__ = _look_up

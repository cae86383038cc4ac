"""Problems that are the same but for their size, found by their specs and dimensions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_SIZE: Final = re.compile(r"[0-9]{1,12}(?:-[0-9]{1,12})*")


@dataclass(frozen=True, order=True)
class SizeFamily:
    """Specs of one name that differ in one parameter, which sets the dimension.

    Attributes:
        name: The spec with a star for the value that differs.
        parameter: Name of the parameter.
        members: Spec and dimension of each problem, dimensions ascending.
    """

    name: str
    parameter: str
    members: tuple[tuple[str, int], ...]

    def holds(self, problem: str) -> bool:
        """Whether a spec, of whatever size, is of this family."""
        return _without(problem, self.parameter) == _without(self.members[0][0], self.parameter)


def families(dims: Mapping[str, int]) -> tuple[SizeFamily, ...]:
    """Group specs into families of at least two sizes.

    The values that differ must be whole numbers, or several joined by hyphens such as widths, and grow with the
    dimension; one spec may leave its value out as the default. A spec that differs from some in one such parameter
    and from others in another is in a family with each.

    Args:
        dims: Dimension by spec.
    """
    groups: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    named: dict[str, set[str]] = defaultdict(set)
    for problem in dims:
        name, parameters = _parsed(problem)
        named[name] |= set(parameters)
    for problem in sorted(dims):
        name, _ = _parsed(problem)
        for parameter in sorted(named[name]):
            groups[name, parameter, _without(problem, parameter)].append(problem)
    found: list[SizeFamily] = []
    for (name, parameter, rest), problems in groups.items():
        members = tuple(sorted(((problem, dims[problem]) for problem in problems), key=lambda it: (it[1], it[0])))
        if len(members) > 1 and _grows(members, parameter):
            written = ",".join(sorted([*rest[1:], f"{parameter}=*"]))
            found.append(SizeFamily(f"{name}[{written}]", parameter, members))
    return tuple(sorted(found))


def _grows(members: tuple[tuple[str, int], ...], parameter: str) -> bool:
    """Whether the dimension grows with the parameter, strictly."""
    values = [_parsed(problem)[1].get(parameter) for problem, _ in members]
    given = [value for value in values if value is not None]
    if len(given) + 1 < len(values) or not all(_SIZE.fullmatch(value) for value in given):
        return False
    sizes = [sum(map(int, value.split("-"))) for value in given]
    return all(low < high for low, high in pairwise(sizes)) and all(a[1] < b[1] for a, b in pairwise(members))


def _parsed(problem: str) -> tuple[str, dict[str, str]]:
    """Name and parameters of a spec; any other text is a name without parameters."""
    name, bracket, rest = problem.partition("[")
    if not bracket or not rest.endswith("]"):
        return problem, {}
    pairs = (item.partition("=") for item in rest[:-1].split(","))
    return name, {key: value for key, _, value in pairs}


def _without(problem: str, parameter: str) -> tuple[str, ...]:
    """A spec without one of its parameters: its name, then what is left."""
    name, parameters = _parsed(problem)
    return (name, *sorted(f"{key}={value}" for key, value in parameters.items() if key != parameter))

"""Methods: estimators that see only products with the operator they are handed."""

from __future__ import annotations

import functools
import hashlib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from hessbench.code_text import function_of, source_of
from hessbench.counting import CountingOperator
from hessbench.distributions import remedy_for
from hessbench.estimand import ESTIMANDS, Estimand, Estimate
from hessbench.estimand.base import defaults_of
from hessbench.estimand.spectral import SpectralQuantity, read_from_density
from hessbench.exceptions import asked_of
from hessbench.footprint import Footprint as Footprint
from hessbench.operators import LinearOperator
from hessbench.problem import PSD, Problem
from hessbench.specs import Required, Spec, Value, canonical, check_name, keyword_choices, keyword_defaults, spec_of

_ORDERS: Final = frozenset({"which"})
"""Fields that change what a method has to compute, unlike those only its score reads."""
WorksBy: TypeAlias = Literal["products", "rows", "factor", "copy"]
_NEEDED: Final = frozenset({"num_matvecs", "generator"})
_HANDED: Final = _NEEDED | {"known_low"}


@dataclass(frozen=True)
class Method:
    """An estimator and what it promises.

    Attributes:
        name: Registered name.
        run: `run(op, /, *, num_matvecs, generator, ...)`, returning an `Estimate`, or a generator function that
            yields them. Keywords named as fields of the estimand (`k`), or among what it `asks` (`vectors`), are
            filled from it, and `known_low`, minus infinity by default, with what every eigenvalue is known to be at
            least; the others, which have defaults, are the method's parameters.
        estimands: What it answers. The first is what `value` holds; the others come in `also`.
        requires: Traits a problem must have.
        also_takes: By the class of an estimand, a trait that stands for `requires` where it is asked for.
        works_by: What it asks the operator for: whole `products`; `rows`, subsets and parts; the `factor` of a GGN
            alone; or a `copy` of the network, on which a library has its own operator, so that its seconds compare with
            those of any. Only for the first is an engine made before its run.
        refuses: Function of an estimand's class and the keywords of `run`: why these settings cannot answer it, empty
            where they can.
        citation: Source, for the bibliography of a report.
        version: Bumped when the numbers change; without it the hash of the source file, and of the files
            beside it that it imports, stands for it.
        min_matvecs: Least budget, a number or a function of `dim` and the keywords of `run`.
        block_widths: Widths of the blocks it multiplies, warmed up before the clock starts: a function of
            `num_matvecs` and the keywords of `run`.
        footprint: Function of `dim`, `num_matvecs` and the keywords of `run`.
        presets: Specs a glob stands for.
        library: Distribution whose version belongs in the ledger, for adapters; where it is not installed, the method
            is skipped.
        modules: Modules of that library, which are imported before the clock starts.
        summary: One line for `list`; the first line of `run`'s docstring by default.
    """

    name: str
    run: Callable[..., Any]
    estimands: tuple[type[Estimand], ...]
    requires: tuple[str, ...] = ()
    also_takes: Mapping[type[Estimand], str] = field(default_factory=dict[Any, Any])
    works_by: WorksBy = "products"
    refuses: Callable[..., str] | None = None
    citation: str = ""
    version: str = ""
    min_matvecs: int | Callable[..., int] = 1
    block_widths: Callable[..., tuple[int, ...]] | None = None
    footprint: Callable[..., Footprint] | None = None
    presets: tuple[str, ...] = ()
    library: str = ""
    modules: tuple[str, ...] = ()
    summary: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "method")
        if not self.estimands:
            raise ValueError(f"method {self.name}: estimands must name at least one of {', '.join(ESTIMANDS)}")
        if self.works_by not in (ways := get_args(WorksBy)):
            raise ValueError(f"method {self.name}: works_by must be one of {', '.join(ways)}, got {self.works_by!r}")
        parameters = inspect.signature(self.run).parameters
        missing = [name for name in sorted(_NEEDED) if name not in parameters]
        if missing:
            raise ValueError(
                f"method {self.name}: run(op, /, *, num_matvecs, generator) is accepted; {', '.join(missing)} missing"
            )

    @property
    def is_anytime(self) -> bool:
        """Whether `run` is a generator function."""
        return inspect.isgeneratorfunction(function_of(self.run))

    @property
    def needs_no_engine(self) -> bool:
        """Whether it makes no product by the operator's engine."""
        return self.works_by != "products"

    @property
    def defaults(self) -> dict[str, Value | Required]:
        """The method's own parameters with their defaults."""
        handed = _HANDED.union(*((*defaults_of(kind), *kind.hands) for kind in self.estimands))
        return {name: value for name, value in keyword_defaults(self.run).items() if name not in handed}

    @property
    def lack(self) -> str:
        """Which library it needs that is not installed, and how to get it; empty where nothing is missing."""
        remedy = remedy_for(self.library)
        return f"{self.name} needs a library: {remedy}" if remedy else ""

    @functools.cached_property
    def hash(self) -> str:
        """Hash of the declared version, or of the source file and the files beside it that it imports; read once."""
        source = f"{self.name}\0{self.version}".encode() if self.version else source_of(self.run)
        return hashlib.sha256(source).hexdigest()[:16]

    def answers(self, kind: type[Estimand]) -> bool:
        """Whether it answers an estimand of a kind: itself, or by what that is read from."""
        return kind in self.estimands or kind.read_from in self.estimands

    def spec(self, asked: Spec | str) -> Spec:
        """Canonical spec of one of this method, each parameter that `run` annotates with a Literal one of its choices.

        Raises:
            ValueError: If a parameter is not accepted.
        """
        spec = canonical(spec_of(asked), self.defaults)
        for name, accepted in keyword_choices(self.run).items():
            value = spec.as_dict.get(name)
            if value is not None and value not in accepted:
                raise ValueError(f"{self.name}: parameter {name!r} takes {' or '.join(accepted)}, got {value!r}")
        return spec

    def canonical(self, asked: Spec | str) -> str:
        """Canonical text of a spec of this method.

        Raises:
            ValueError: If a parameter is not accepted.
        """
        return str(self.spec(asked))

    def bind(self, asked: Spec | str, estimand: Estimand) -> BoundMethod:
        """Fix the parameters and the estimand.

        Raises:
            ValueError: If a parameter is not accepted, or the method does not answer the estimand.
        """
        if not self.answers(type(estimand)):
            accepted = ", ".join(kind.key for kind in self.estimands)
            raise ValueError(f"method {self.name} does not answer {estimand.key}; it answers: {accepted}")
        return BoundMethod(self, self.spec(asked), estimand)


@dataclass(frozen=True)
class BoundMethod:
    """A method with its parameters and estimand fixed, told what every eigenvalue is known to be at least."""

    method: Method
    spec: Spec
    estimand: Estimand
    known_low: float = -math.inf

    def on(self, problem: Problem) -> BoundMethod:
        """The same, told what a problem declares of its spectrum: no eigenvalue of one that is `psd` is below zero."""
        return replace(self, known_low=known_low(self.estimand, problem))

    @property
    def run_for(self) -> Estimand:
        """What `run` is asked for: the estimand, or the one that it is read from."""
        source = type(self.estimand).read_from
        if type(self.estimand) in self.method.estimands or source is None:
            return self.estimand
        return source.default() or source.of_size(1)

    def answer(self, estimate: Estimate, dim: int, dtype: str) -> Estimate | None:
        """The answer to the estimand in an evaluated estimate of `run`; None where there is none.

        Args:
            estimate: Evaluated.
            dim: Dimension n of the operator.
            dtype: Name of the dtype the operator computed in.

        Raises:
            ValueError: If what the answer is read from has another shape than its estimand.
        """
        known: dict[type[Estimand], Estimate] = {self.method.estimands[0]: estimate, **estimate.also}
        found = known.get(type(self.run_for))
        if found is None or self.run_for is self.estimand or not isinstance(self.estimand, SpectralQuantity):
            return found
        return read_from_density(self.estimand, found, dim, dtype)

    @property
    def keywords(self) -> dict[str, Value]:
        """Keywords of `run` beside `num_matvecs` and `generator`."""
        declared = inspect.signature(self.method.run).parameters
        fields = {name: value for name, value in self.run_for.fields.items() if name in declared}
        asked = {name: value for name, value in self.run_for.asks.items() if name in declared}
        return {**fields, **self.spec.as_dict, **asked}

    @property
    def settings(self) -> dict[str, Value]:
        """`keywords` with every default filled in, for the method's declared functions."""
        known = keyword_defaults(self.method.run)
        filled = {k: v for k, v in known.items() if not isinstance(v, Required) and k not in _HANDED}
        return {**filled, **self.keywords}

    def handed(self, op: LinearOperator, network: Callable[[], object] | None = None) -> dict[str, Tensor]:
        """The vectors that are part of the question, in an operator's dtype and where it lives.

        Args:
            op: The operator.
            network: Makes the network it belongs to, where there is one.

        Raises:
            ValueError: If they cannot be made.
        """
        if not self.estimand.hands:
            return {}
        made = self.estimand.handed(op.dim, network)
        return {name: torch.as_tensor(array).to(device=op.device, dtype=op.dtype) for name, array in made.items()}

    def run(
        self,
        op: CountingOperator,
        num_matvecs: int,
        generator: torch.Generator,
        handed: Mapping[str, Tensor] | None = None,
    ) -> Any:
        """Start the estimator: an `Estimate`, or an iterator of them.

        Args:
            op: The operator.
            num_matvecs: Budget.
            generator: Source of randomness.
            handed: From `handed`; made here where it is not given.
        """
        vectors = self.handed(op) if handed is None else handed
        declared = inspect.signature(self.method.run).parameters
        own: dict[str, Any] = {name: vector for name, vector in vectors.items() if name in declared}
        if "known_low" in declared:
            own["known_low"] = self.known_low
        return self.method.run(op, num_matvecs=num_matvecs, generator=generator, **self.keywords, **own)

    def min_matvecs(self, dim: int) -> int:
        """Least budget for dimension `dim`.

        Raises:
            ValueError: If a parameter is out of range, or the method's own function fails.
        """
        declared = self.method.min_matvecs
        if isinstance(declared, int):
            return declared
        found = asked_of(f"method {self.spec}", "min_matvecs", lambda: declared(dim, **self.settings))
        least = cast("object", found)
        if not isinstance(least, int) or isinstance(least, bool):
            raise ValueError(f"method {self.spec}: min_matvecs returned {type(least).__name__}, an integer is accepted")
        return least

    def block_widths(self, num_matvecs: int) -> tuple[int, ...]:
        """Widths of the blocks it will multiply."""
        widths = self.method.block_widths
        return (1,) if widths is None else widths(num_matvecs, **self.settings)

    def footprint(self, dim: int, num_matvecs: int) -> Footprint | None:
        """What it needs of its own, where it says."""
        declared = self.method.footprint
        return None if declared is None else declared(dim, num_matvecs, **self.settings)

    @property
    def refusal(self) -> str:
        """Why the method with these settings cannot answer the estimand; empty when it can.

        Raises:
            ValueError: If the method's own function fails.
        """
        declared = self.method.refuses
        if declared is None:
            return ""
        return str(asked_of(f"method {self.spec}", "refuses", lambda: declared(type(self.run_for), **self.settings)))

    def skip_reason(self, problem: Problem) -> str:
        """Why this method cannot run on this problem; empty when it can."""
        if self.method.lack:
            return self.method.lack
        if self.refusal:
            return f"{self.spec} does not answer {self.estimand.key}: {self.refusal}"
        declared = inspect.signature(self.method.run).parameters
        for name, default in defaults_of(type(self.run_for)).items():
            asked = self.run_for.fields[name]
            if name not in declared and not isinstance(default, Required) and asked != default and name in _ORDERS:
                return f"{self.method.name} answers {name}={default} only, {asked} is asked for"
        if self.estimand.needs_network and problem.network is None:
            return f"{self.estimand.spec} needs a problem that is made of a network, which {problem.name} is not"
        lacking = [trait for trait in self.method.requires if trait not in problem.traits]
        if lacking and self.method.also_takes.get(type(self.run_for)) not in problem.traits:
            return f"{self.method.name} requires the trait {lacking[0]!r}, which {problem.name} does not declare"
        return ""


def known_low(estimand: Estimand, problem: Problem) -> float:
    """What every eigenvalue is at least: by what the problem declares, or the question takes for granted."""
    return max(0.0 if PSD in problem.traits else -math.inf, estimand.known_low)

"""What is to be trusted of a spectrum, in sentences and in the cells of tables."""

from __future__ import annotations

from dataclasses import dataclass

from hessbench.reports.spectra.axis import tick_label
from hessbench.reports.spectra.panels import stated
from hessbench.reports.spectra.trust import BoundedValue, Share, SignShares, TopTrust, TraceTrust, Trust
from hessbench.reports.writing import units

_PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
_MINUS = "\N{MINUS SIGN}"
_ORDERS = {"magnitude": "by magnitude", "algebraic": "from the top", "smallest": "from the bottom"}


@dataclass(frozen=True)
class Told:
    """One thing that is known of a spectrum: what, how sure that is, and why."""

    what: str
    verdict: str
    why: str


def told(trust: Trust) -> tuple[Told, ...]:
    """What may be trusted, one line each: first eigenvalues, trace, shares by sign, resolution is said by figures."""
    found: list[Told] = []
    if trust.top is not None:
        found.append(_top(trust.top))
    if trust.traces:
        found.append(_trace(trust.traces))
    found += _signs(trust)
    return tuple(found)


def value_text(value: float) -> str:
    """An eigenvalue, five digits."""
    return tick_label(float(f"{value:.5g}"))


def bound_text(value: BoundedValue) -> str:
    """Its bound, rounded up to two digits."""
    return units.DASH if value.bound is None else f"{_PLUS_MINUS}{up(value.bound)}"


def up(bound: float) -> str:
    """A bound rounded up to two digits."""
    if bound == 0:
        return "0"
    rounded = float(f"{bound:.1e}")
    return tick_label(rounded if rounded >= bound else float(f"{bound * 1.05:.1e}"))


def verdict_of(value: BoundedValue) -> str:
    """How far one of the first eigenvalues may be trusted."""
    if value.relative is None:
        return "no bound"
    if value.relative <= 1e-4:
        return "sure to 4 digits"
    if value.relative <= 0.01:
        return "sure to 1 %"
    if value.relative <= 0.1:
        return "sure to 10 %"
    return "sign sure" if value.sign_is_sure else "not to be trusted"


def share_text(share: Share) -> str:
    """A share with its standard error."""
    return stated(share.mean) if share.stderr is None else f"{stated(share.mean)} {_PLUS_MINUS} {stated(share.stderr)}"


def trace_text(trace: TraceTrust) -> str:
    """A trace with its interval."""
    if trace.half_width is None:
        return value_text(trace.value)
    return f"{value_text(trace.value)} {_PLUS_MINUS} {up(trace.half_width)}"


def trace_caveat(trace: TraceTrust) -> str:
    """What to know of the interval of a trace."""
    if trace.half_width is None:
        return "no standard error is claimed and there is one run: nothing says how far off it is"
    if trace.half_width == 0:
        return "the method has seen the whole matrix: exact up to rounding"
    behind = f"{trace.probes} probes" if trace.probes else f"{trace.freedom + 1} runs"
    few = "; so few that the width is itself a guess" if trace.is_few else ""
    return f"95 %, Student's t with {trace.freedom} degrees of freedom, from {behind}{few}"


def shares_caveat(shares: SignShares) -> str:
    """What the standard errors of the shares rest on."""
    if not shares.runs:
        return ""
    starts = f", {shares.starts} start{'s' * (shares.starts != 1)} each" if shares.starts else ""
    if shares.runs == 1:
        return f"one run{starts}: no spread is known"
    return f"standard error over {shares.runs} runs{starts}"


def _top(top: TopTrust) -> Told:
    number = len(top.values)
    what = f"{number} first eigenvalue{'s' * (number != 1)} {_ORDERS[top.which]}, by {top.method}"
    if not top.has_bounds:
        return Told(what, "no bound", "the method does not say its residuals, so nothing bounds how far off they are")
    why = (
        "Each has an eigenvalue within its bound, the residual and the rounding of a product. That none is missing "
        "between them is likely, not proven."
    )
    return Told(what, f"{top.number_good} of {number} sure to 1 %", why)


def _trace(traces: tuple[TraceTrust, ...]) -> Told:
    best = traces[0]
    what = f"trace {trace_text(best)}, by {best.method}"
    if best.half_width is None:
        return Told(what, "not to be trusted", f"{trace_caveat(best).capitalize()}.")
    relative = best.half_width / abs(best.value) if best.value else float("inf")
    verdict = "few probes" if best.is_few else f"to {units.share(relative)}" if relative < 1 else "sign not sure"
    others = [other for other in traces[1:] if other.half_width is not None]
    why = [f"{trace_caveat(best)}."]
    if others:
        apart = [other for other in others if abs(other.value - best.value) > best.half_width + (other.half_width or 0)]
        if apart:
            verdict = "contradicted"
            why.append(f"The interval of {apart[0].method}, {trace_text(apart[0])}, does not meet it.")
        else:
            why.append(f"The interval of {others[0].method}, {trace_text(others[0])}, meets it.")
    return Told(what, verdict, " ".join(why))


def _signs(trust: Trust) -> list[Told]:
    found = [share for share in trust.shares if share.runs]
    if not found:
        return []
    # The first with a bound, else with a spread; the table has all of them.
    best = next((it for it in found if it.bracket is not None), None)
    best = best or next((it for it in found if it.negative.stderr is not None), found[0])
    known = [f"The reference has {stated(it.negative.mean)}." for it in trust.shares if not it.runs]
    near = tick_label(float(f"{trust.near:.2g}"))
    what = f"negative mass {share_text(best.negative)} below {_MINUS}{near}, by {best.method}"
    zero = f"{share_text(best.zero)} lies within {_PLUS_MINUS}{near} of zero, where the sign of a node says nothing."
    told_of = [Told(what, _sign_verdict(best), " ".join([_sign_reason(best), zero, *known]))]
    if trust.least is not None:
        least = value_text(trust.least)
        if trust.least < 0:
            told_of.append(
                Told(
                    f"an eigenvalue at or below {least}",
                    "sure",
                    "It is the least Ritz value with the rounding of a product added; no Ritz value is below the "
                    "least eigenvalue. How many there are this does not say.",
                )
            )
        else:
            told_of.append(
                Told("no negative eigenvalue seen", "no proof", "Every Ritz value is above 0 or within its rounding.")
            )
    return told_of


def _sign_verdict(shares: SignShares) -> str:
    """How far a negative mass may be trusted: as far as the quadrature holds it, else it has no bound."""
    if shares.bracket is not None:
        least, most = (max(share.mean, 0.0) for share in shares.bracket)
        if most <= 1e-12:
            return "none seen"
        return f"between {stated(least)} and {stated(most)}"
    if shares.negative.mean <= 1e-12:
        return "none seen"
    return "no bound" if shares.negative.stderr is None else "spread only, no bound"


def _sign_reason(shares: SignShares) -> str:
    said = [f"{shares_caveat(shares).capitalize()}, of the starts alone."]
    if shares.bracket is not None:
        said.append(
            "A Gauss quadrature does not say on which side of a place the mass of the two nodes next to it lies: these "
            "are the least and the most that it leaves, in the mean over the runs."
        )
    else:
        said.append(
            "How far the nodes stand apart limits it more, which no standard error shows: `slq` with one start a run "
            "bounds it."
        )
    return " ".join(said)

"""The faults that `planted_faults.py` plants: each one a line of the package that is wrong in a way users would suffer.

A fault is found by its text, whatever file that lies in. Where a text was rewritten, another spelling of the same
fault is added under the same name: the first one that stands in the tree exactly once is planted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Fault:
    """One mutation.

    Attributes:
        name: What goes wrong.
        snippet: Exact text of the source, found once in the tree.
        replacement: What stands there instead.
    """

    name: str
    snippet: str
    replacement: str


HARNESS: Final = (
    Fault("missing-values-score-zero", "gaps = np.ones(truth.size)", "gaps = np.zeros(truth.size)"),
    Fault(
        "last-product-of-a-budget-refused",
        "self.matvecs + columns > self.num_matvecs",
        "self.matvecs + columns >= self.num_matvecs",
    ),
    Fault(
        "files-written-in-place",
        "partial.write_bytes(data)\n        partial.replace(path)",
        "path.write_bytes(data)",
    ),
    Fault("newline-after-the-row", 'data = f"\\n{line}".encode()', 'data = f"{line}\\n".encode()'),
    Fault(
        "a-later-failure-replaces-an-ok-row",
        "key=lambda attempt: (attempt.terminal.status is Status.OK, *_order(attempt))",
        "key=_order",
    ),
    Fault("nan-in-the-ledger", "return value if math.isfinite(value) else None", "return value"),
    Fault("repeats-not-interleaved", "(p.cell.pass_ == MEMORY, p.cell.repeat, ", "(p.cell.pass_ == MEMORY, "),
    Fault(
        "yielded-tensors-not-copied",
        "return value.detach().clone() if value.numel() * value.element_size() <= COPIED_BYTES else value",
        "return value.detach()",
    ),
    Fault("interval-mapped-off-centre", "-(high + low) / width", "-(high - low) / width"),
    Fault("changed-methods-not-stale", "            and row.method_hash == method.hash\n", ""),
    Fault("changed-methods-not-stale", "        and row.method_hash == method.hash\n", ""),
    Fault(
        "products-grow-not-with-the-budget",
        "row.matvecs * (allowed / room if is_used_up else 1.0)",
        "row.matvecs * 1.0",
    ),
    Fault("old-estimate-at-an-exact-budget", "waiting and spent > ", "waiting and spent >= "),
    Fault("peak-without-its-base-line", "max(peak - self._base, 0)", "peak"),
    Fault("products-round-the-count-unseen", "if tally.columns != charged:", "if tally.columns < charged:"),
    Fault("check-exits-with-0-on-broken-laws", "broken += not verdict", "broken += 0 * verdict"),
    Fault("sizes-in-powers-of-ten", '{"MiB": 2.0**20, "GiB": 2.0**30}', '{"MiB": 1e6, "GiB": 1e9}'),
    Fault("whole-message-held-back", "if len(self._buffer) < end:", "if len(self._buffer) <= end:"),
    Fault("grandchildren-not-killed", "        waiting += children\n", ""),
)

PROBLEMS: Final = (
    Fault(
        "subset-in-the-order-of-classes",
        "generator.permuted(np.stack(columns, axis=1), axis=1).ravel()",
        "np.concatenate(columns)",
    ),
    Fault("colour-images-transposed", "pixels.permute(0, 3, 1, 2)", "pixels.permute(0, 3, 2, 1)"),
    Fault(
        "ragged-last-micro-batch-left-out",
        "for start in range(0, batch.size, size):",
        "for start in range(0, batch.size - size + 1, size):",
    ),
    Fault("peak-is-what-lives-last", "self.peak = max(self.peak, self.live)", "self.peak = self.live"),
    Fault(
        "engine-chosen-by-one-product",
        "return self.setup_s + num_products * self.product_s",
        "return self.setup_s + self.product_s",
    ),
    Fault("running-sum-not-transposed", ".flip(axis).cumsum(axis).flip(axis)", ".cumsum(axis)"),
    Fault("overlapping-windows-not-summed", "whole.scatter_add_(", "whole.scatter_("),
    Fault(
        "layer-norm-deviation-held-fixed",
        "(project(inner) - turned) * r - ",
        "(project(inner) - turned) * r - 0 * ",
    ),
    Fault(
        "proof-turned-round-at-a-restart",
        "self._log_distances(kept) - self._log_distances(theta)",
        "self._log_distances(theta) - self._log_distances(kept)",
    ),
    Fault(
        "ggn-diagonal-not-squared",
        "torch.linalg.vector_norm(fresh, dim=0).square_()",
        "torch.linalg.vector_norm(fresh, dim=0)",
    ),
    Fault(
        "interval-too-narrow",
        "variance = 2 * float(squares.sum()) / (n - 1)",
        "variance = float(squares.sum()) / (n - 1)",
    ),
    Fault("bias-before-batch-norm-turned", "mean = mean - bias", "mean = mean + bias"),
    Fault("statistics-move-with-products", "moved(value, copy=copied)", "moved(value)"),
    Fault("momentum-lost-at-a-restart", "tensors[_MOMENTUM + name] = buffer", "continue"),
    Fault("momentum-lost-at-a-restart", "tensors[_entry_prefix(entry) + name] = value", "continue"),
    Fault("trial-accepts-nan", "if not gap <= accepted:", "if gap > accepted:"),
    Fault("outliers-in-the-wrong-place", "outside * (1 + ratio / (outside - 1))", "outside * (1 + ratio / outside)"),
    Fault("user-data-not-copied", "copy = part.detach().cpu().clone()", "copy = part.detach().cpu()"),
    Fault("class-weights-without-their-mean", "weights = weights * (labels.numel() / mass)", "pass"),
    Fault(
        "class-weights-without-their-mean",
        "mass = float(kept.numel() if weights is None else weights[kept].sum())",
        "mass = float(kept.numel())",
    ),
    Fault("layer1-takes-layer10-too", 'piece.name.startswith(f"{part}.")', "piece.name.startswith(part)"),
    Fault("square-of-a-sum", ".square_().sum(dim=0) for column", ".sum(dim=0).square_() for column"),
    Fault(
        "mean-gradient-of-batches",
        "new_full((batch.size, 1), 1 / samples)",
        "new_full((batch.size, 1), 1 / batch.size)",
    ),
)

METHODS: Final = (
    Fault("least-budget-ignores-k", "return 1 if k is None else min(k, dim)", "return 1"),
    Fault("projection-not-mirrored", "return np.triu(T) + np.triu(T, 1).T", "return np.triu(T)"),
    Fault(
        "correction-with-the-wrong-shift", "w = products[j] - theta * basis[j]", "w = products[j] + theta * basis[j]"
    ),
    Fault("dense-density-not-normalised", "np.full(n, 1 / n)", "np.full(n, 1.0)"),
    Fault(
        "columns-of-the-factor-in-another-order",
        "columns.repeat(factor.num_samples, 1)",
        "columns.repeat_interleave(factor.num_samples, dim=0)",
    ),
    Fault("odd-moments-not-corrected", "2 * odds - odds[0]", "2 * odds"),
    Fault(
        "block-ends-before-its-last-step", "size = int(ends[0]) + 1 if ends.size", "size = int(ends[0]) if ends.size"
    ),
    Fault("density-weights-not-squared", "(block.values, block.first**2)", "(block.values, np.abs(block.first))"),
    Fault(
        "exhausted-starts-go-on",
        "betas.append(torch.where(broken, torch.zeros_like(after), after))",
        "betas.append(after)",
    ),
    Fault(
        "exhausted-starts-go-on",
        "beta = size.masked_fill(broken, 0)\n    return Guarded(",
        "beta = size\n    return Guarded(",
    ),
    Fault(
        "ghosts-counted-once",
        "int((np.diff(judged) <= 64 * eps * scale).sum())",
        "int((np.diff(judged) <= 64 * eps * scale).any())",
    ),
    Fault("nystrom-solves-with-a-diagonal", "to_host(R).T, lower=True)", "to_host(R).T, lower=False)"),
    Fault("pyhessian-gives-the-last-quotient", "value = before if settled else quotient", "value = quotient"),
    Fault("last-block-of-probes-left-out", "if spent > num_matvecs:", "if spent >= num_matvecs:"),
    Fault("standard-error-too-small", "samples.std(ddof=1)", "samples.std()"),
    Fault("product-of-the-correction-unchanged", "t, At = t - Z @ part, At - AZ @ part", "t, At = t - Z @ part, At"),
    Fault("product-of-the-correction-unchanged", "At = At - AZ @ project_out(Z.T, t)", "project_out(Z.T, t)"),
    Fault("arrow-from-the-first-row", "betas[-1] * vectors[-1, first]", "betas[-1] * vectors[0, first]"),
    Fault("rivals-taken-at-their-word", "(keys[later] - residuals[later])", "keys[later]"),
    Fault("orthogonality-misjudged", "grown[1:] += betas[: j - 1]", "grown[1:] -= betas[: j - 1]"),
    Fault("converged-from-the-wrong-end", 'converged=small and order.which == "magnitude"', "converged=small"),
    Fault("single-pass-square-system", "w = n if m == n else m // 2", "w = m"),
    Fault("sketch-scaled-by-n", "top_pairs(G / m, wanted, which)", "top_pairs(G / op.dim, wanted, which)"),
    Fault(
        "hidden-values-not-looked-for", "converged=small and not _may_hide(pairs, sketch, tolerance)", "converged=small"
    ),
    Fault("trace-of-slq-without-n", "[op.dim * float(values @ mass)", "[float(values @ mass)"),
    Fault("converged-after-an-exhausted-space", "converged and (whole or not state.exhausted)", "converged"),
    Fault("hutchpp-counts-the-sketch-twice", "G - Q @ (Q.T @ G)", "G"),
)

REPORTS: Final = (
    Fault("sizes-not-binary", "        value /= 1024\n", "        value /= 1000\n"),
    Fault(
        "formulas-reach-the-spreadsheet",
        'return f"\'{cleaned}" if cleaned.startswith(_FORMULA) else cleaned',
        "return cleaned",
    ),
    Fault("five-repeats-not-judged", "len(pairs) >= LEAST_PAIRS", "len(pairs) > LEAST_PAIRS"),
    Fault("five-repeats-not-judged", "if len(runs) < LEAST_RUNS:", "if len(runs) <= 5:"),
    Fault("runs-that-agree-are-sure", "return 2 / 4.0**runs", "return 0.0 * runs"),
    Fault("unchanged-runs-left-out", "        if pair.problem in problems:\n", "        if False:\n"),
    Fault("price-falls-with-size", "math.log(dim / upper.dim)", "math.log(upper.dim / dim)"),
    Fault("memory-pass-times-shown", "sorted((other | timed).items())", "sorted((timed | other).items())"),
    Fault("curves-below-the-floor", "return max(self.error, self.floor)", "return self.error"),
    Fault(
        "predicted-from-what-is-predicted",
        "for rung in ladder.rungs if rung.dim * FAR <= line.dim)\n    problem",
        "for rung in ladder.rungs)\n    problem",
    ),
    Fault("interval-for-one-claim-only", "1 - (1 - LEVEL) / (2 * number), m - 1", "1 - (1 - LEVEL) / 2, m - 1"),
)

FAULTS: Final = (*HARNESS, *PROBLEMS, *METHODS, *REPORTS)

"""Exact spectra of one small network: H, G and R of training, H and G of test, and what is read from them."""

from __future__ import annotations

from typing import Final, cast
from warnings import catch_warnings, simplefilter

import numpy as np
import scipy.linalg
import scipy.stats
import torch
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.methods.attribution import cross_class_means, rayleigh_share, share_in_span
from hessbench.operators import Factored, dense_operator
from hessbench.problems.spectra.bulk_bootstrap import count_gaps, gap_ratios
from hessbench.problems.spectra.fitted_laws import nearest_marchenko_pastur, nearest_semicircle
from hessbench.problems.spectra.power_tail import fit_power_tail, power_against_exponential, power_against_lognormal
from hessbench.reports.full_spectrum.groups import CLASSES, TrainedGroup
from hessbench.studies.full_spectrum.lines import line_fit
from hessbench.studies.full_spectrum.networks import built, chosen_rate, dense, network_of, spec_of
from hessbench.studies.full_spectrum.pipelines import measure_intervals, measure_pipelines
from hessbench.studies.units import UnitRecord

LAST: Final = 3 * CLASSES
"""Places at which gaps are looked for."""

_NONZERO: Final = 1e-10
_BULK: Final = 1e-3


def measure_network(record: UnitRecord, group: TrainedGroup, run: int, first: int, *, whole: bool) -> None:
    """Everything that is read from the exact spectra of one network.

    Args:
        record: Takes it down.
        group: How the network is trained.
        run: Number of the training.
        first: Number of the training on which the learning rate is chosen.
        whole: Whether also the test matrices, the tail of R and the document's algorithms are.
    """
    rate = chosen_rate(group, first)
    record.add("rate", rate, problem=group.name)
    H, G = (dense(spec_of(group, run, rate, operator)) for operator in ("hessian", "ggn"))
    h, g, r = (np.linalg.eigvalsh(A.numpy()) for A in (H, G, H - G))
    bound = h.size * 2.0**-52 * float(np.abs(h).max())
    _spectra(record, group, h, g, r, bound)
    _outliers(record, group, H, G, h)
    if whole:
        g_op = built(spec_of(group, run, rate, "ggn", engine="kept-graph"))
        U = _top_vectors(H)
        class_means(record, group.name, g_op, torch.as_tensor(U[:, : CLASSES - 1].copy()))
        _tail(record, group, r, float(np.abs(h).max()))
        r2, slope, density = line_fit(r, f"R of {group.name}", run)
        record.add("line-r2", r2, problem=group.name)
        record.add("line-slope", slope, problem=group.name)
        record.keep("line", density)
        test = np.linalg.eigvalsh(dense(spec_of(group, run, rate, "hessian", "test")).numpy())
        record.add("test-over-train", test[-1] / h[-1], problem=group.name)
        record.keep("test", test)
        record.keep("g-test", np.linalg.eigvalsh(dense(spec_of(group, run, rate, "ggn", "test")).numpy()))
        measure_pipelines(record, group.name, h, run)
        for name, values in (("H", h), ("G", g), ("R", r)):
            measure_intervals(record, group.name, name, values, run)
    positive = g[g > _NONZERO * g[-1]]
    _gaps(record, group, positive)
    for name, values in (("h", h), ("g", g), ("r", r)):
        record.keep(name, values)


def measure_ggn(record: UnitRecord, group: TrainedGroup, run: int, first: int) -> None:
    """The spectrum of G alone, of training and of test, at another sample size; Args: as of `measure_network`."""
    rate = chosen_rate(group, first)
    record.add("rate", rate, problem=group.name)
    g = np.linalg.eigvalsh(dense(spec_of(group, run, rate, "ggn")).numpy())
    test = np.linalg.eigvalsh(dense(spec_of(group, run, rate, "ggn", "test")).numpy())
    positive = g[g > _NONZERO * g[-1]]
    record.add("zero-share-of-g", 1 - positive.size / g.size, problem=group.name)
    _gaps(record, group, positive)
    record.keep("g", g)
    record.keep("g-test", test)


def _spectra(record: UnitRecord, group: TrainedGroup, h: Array, g: Array, r: Array, bound: float) -> None:
    name = group.name
    record.add("bound", bound, problem=name)
    record.add("lambda-min", h[0], problem=name)
    record.add("lambda-min-share", h[0] / h[-1], problem=name)
    norm = float(np.abs(r).max())
    record.add("weyl", float(np.abs(h - g).max()) / norm, problem=name)
    # Cauchy's theorem would put lambda_k(H) between lambda_k(G) and lambda_(k-1)(G).
    down_h, down_g = h[::-1][:LAST], g[::-1][:LAST]
    crossed = (down_h[1:] >= down_g[1:]) & (down_h[1:] <= down_g[:-1])
    record.add("interlacing", float(crossed.mean()), problem=name)
    ratios = gap_ratios(h, 2, LAST)
    record.add("gap-place", 2 + int(ratios.argmax()), problem=name)
    record.add("gap-h", float(ratios.max()), problem=name)
    record.add("gap-r", float(max(gap_ratios(r, 2, LAST).max(), gap_ratios(-r, 2, LAST).max())), problem=name)
    floor, ceiling = _BULK * h[-1], h[-CLASSES - 1]
    inside = [int(((np.abs(x) >= floor) & (np.abs(x) <= ceiling)).sum()) for x in (r, h)]
    record.add("bulk-mass-ratio", inside[0] / max(inside[1], 1), problem=name)
    record.add("near-zero-share", float((np.abs(h) <= floor).mean()), problem=name)
    record.add("zero-share-of-g", float((g <= _NONZERO * g[-1]).mean()), problem=name)
    record.add("trace-share-of-r", float(r.sum() / np.abs(r).sum()), problem=name)
    kept = r[np.abs(r) > _NONZERO * h[-1]]
    with catch_warnings():
        simplefilter("ignore", RuntimeWarning)  # that it takes its asymptotic p where the exact one is out of reach
        _, p = cast("tuple[float, float]", scipy.stats.ks_2samp(kept[kept > 0], -kept[kept < 0]))
    record.add("symmetry-p", p, problem=name)
    for k in range(1, CLASSES + 1):
        record.add(f"log-outlier-{k}", float(np.log(h[-k])), problem=name)
    sizes = np.sort(np.abs(h))[:-CLASSES]
    for percent in (50, 75, 90, 99):
        record.add(f"log-bulk-{percent}", float(np.log(np.quantile(sizes, percent / 100))), problem=name)


def _outliers(record: UnitRecord, group: TrainedGroup, H: Tensor, G: Tensor, h: Array) -> None:
    U = torch.as_tensor(_top_vectors(H))
    few = U[:, : CLASSES - 1].contiguous()
    g = np.linalg.eigvalsh(G.numpy())[::-1][: CLASSES - 1]
    top = h[::-1][: CLASSES - 1]
    record.add("outlier-shift", float((np.abs(top - g) / top).max()), problem=group.name)
    shares = rayleigh_share(dense_operator(G), dense_operator(H), few)
    record.add("rayleigh-share", float(shares.min()), problem=group.name)

    def outside(A: Tensor) -> float:
        part = A - U @ (U.T @ A)
        return float((part - (part @ U) @ U.T).square().sum())

    ours, theirs = outside(H - G), outside(G)
    record.add("bulk-frobenius-share", ours / (ours + theirs), problem=group.name)


def class_means(record: UnitRecord, problem: str, ggn: object, vectors: Tensor) -> None:
    """Shares of the outlier vectors in the span of mean gradients, weighted by the predicted probabilities.

    Args:
        record: Takes them down.
        problem: Name for the rows.
        ggn: The GGN, with its factor and network.
        vectors: Columns (n, k).
    """
    assert isinstance(ggn, Factored)
    network = network_of(ggn)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        outputs = torch.cat([network.forward(network.parameters, batch.inputs) for batch in network.batches])
    labels = torch.cat([batch.targets for batch in network.batches])
    means = cross_class_means(ggn.factor, labels, outputs.softmax(dim=1).sqrt())
    for measure, columns in (("span-class", means.classes), ("span-cross", means.all)):
        shares = share_in_span(vectors.to(columns), columns)
        record.add(measure, float(shares.min()), problem=problem)
        record.keep(measure, shares.cpu().numpy())


def _tail(record: UnitRecord, group: TrainedGroup, r: Array, norm: float) -> None:
    """Laws of R: a power-law tail beside others, and the limit laws."""
    sizes = np.abs(r[np.abs(r) > _NONZERO * norm])
    tail = fit_power_tail(sizes)
    record.add("tail-exponent", tail.exponent, problem=group.name)
    record.add("tail-count", tail.count, problem=group.name)
    record.add("tail-start", tail.start, problem=group.name)
    for name, test in (("exponential", power_against_exponential), ("lognormal", power_against_lognormal)):
        found = test(sizes, tail)
        record.add(f"tail-{name}-ratio", found.ratio, problem=group.name)
        record.add(f"tail-{name}-p", found.p, problem=group.name)
    record.add("ks-marchenko-pastur", nearest_marchenko_pastur(sizes).ks, problem=group.name)
    record.add("ks-semicircle", nearest_semicircle(r).ks, problem=group.name)


def _gaps(record: UnitRecord, group: TrainedGroup, positive: Array) -> None:
    found = count_gaps(positive, group.per_class * CLASSES, last=LAST)
    record.add("gaps-of-g", found.count, problem=group.name)
    record.keep("gap-ratios", found.ratios)
    record.keep("gap-largest", np.asarray([found.largest.max()]))


def _top_vectors(H: Tensor) -> Array:
    n = H.shape[0]
    return np.asarray(scipy.linalg.eigh(H.numpy(), subset_by_index=[n - CLASSES, n - 1])[1][:, ::-1].copy())

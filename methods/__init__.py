"""Estimators: plain functions of an operator, a budget and a generator, usable without the harness."""

from __future__ import annotations

from hessbench.method import Method
from hessbench.methods.dense import DENSE
from hessbench.methods.density.deflated_slq import DEFLATED_SLQ
from hessbench.methods.density.diagonal_histogram import DIAGONAL_HISTOGRAM
from hessbench.methods.density.kpm import KPM
from hessbench.methods.density.krylov_aware import KRYLOV_AWARE_SLQ
from hessbench.methods.density.lanczos_density import LANCZOS_DENSITY
from hessbench.methods.density.self_deflated_slq import SELF_DEFLATED_SLQ
from hessbench.methods.density.sketch_density import SKETCH_DENSITY
from hessbench.methods.density.slq import SLQ
from hessbench.methods.diagonal import GGN_DIAGONAL_EXACT, GGN_DIAGONAL_MC, HUTCHINSON_DIAGONAL
from hessbench.methods.diagonal.diagpp import DIAGPP
from hessbench.methods.diagonal.exact_diagonal import DIAGONAL_EXACT
from hessbench.methods.diagonal.hessian_diagonal import HESSIAN_DIAGONAL_EXACT
from hessbench.methods.diagonal.xdiag import XDIAG
from hessbench.methods.eigenvalues.block_krylov import BLOCK_KRYLOV
from hessbench.methods.eigenvalues.bounded_lanczos import BOUNDED_LANCZOS
from hessbench.methods.eigenvalues.lanczos import LANCZOS
from hessbench.methods.eigenvalues.nystrom import NYSTROM
from hessbench.methods.eigenvalues.power import POWER_ITERATION
from hessbench.methods.eigenvalues.pruned_krylov import PRUNED_KRYLOV
from hessbench.methods.eigenvalues.pruned_lanczos import PRUNED_LANCZOS
from hessbench.methods.eigenvalues.simultaneous import SIMULTANEOUS_ITERATION
from hessbench.methods.eigenvalues.single_pass import SINGLE_PASS
from hessbench.methods.eigenvalues.sketch import RANDOMIZED_EIGH, SKETCH
from hessbench.methods.eigenvalues.sketch_and_refine import SKETCH_AND_REFINE
from hessbench.methods.eigenvalues.thick_restart import THICK_RESTART_LANCZOS
from hessbench.methods.functions.cg import CG
from hessbench.methods.functions.nystrom_cg import NYSTROM_CG
from hessbench.methods.peers import PEERS
from hessbench.methods.rows.heavy_rows import HEAVY_ROWS
from hessbench.methods.rows.sampled_rows import SAMPLED_ROWS
from hessbench.methods.rows.split_trace import SPLIT_DIAGONAL, SPLIT_TRACE
from hessbench.methods.trace import HUTCHINSON, HUTCHPP
from hessbench.methods.trace.adaptive_hutchpp import ADAPTIVE_HUTCHPP
from hessbench.methods.trace.xnystrace import XNYSTRACE
from hessbench.methods.trace.xtrace import XTRACE

ESTIMATORS: list[Method] = [
    POWER_ITERATION,
    SIMULTANEOUS_ITERATION,
    LANCZOS,
    THICK_RESTART_LANCZOS,
    BLOCK_KRYLOV,
    PRUNED_LANCZOS,
    PRUNED_KRYLOV,
    BOUNDED_LANCZOS,
    SKETCH,
    RANDOMIZED_EIGH,
    SINGLE_PASS,
    NYSTROM,
    SKETCH_AND_REFINE,
    HUTCHINSON,
    HUTCHPP,
    ADAPTIVE_HUTCHPP,
    XTRACE,
    XNYSTRACE,
    SLQ,
    DEFLATED_SLQ,
    SELF_DEFLATED_SLQ,
    KRYLOV_AWARE_SLQ,
    LANCZOS_DENSITY,
    SKETCH_DENSITY,
    DIAGONAL_HISTOGRAM,
    KPM,
    HUTCHINSON_DIAGONAL,
    DIAGPP,
    XDIAG,
    DIAGONAL_EXACT,
    GGN_DIAGONAL_EXACT,
    GGN_DIAGONAL_MC,
    HESSIAN_DIAGONAL_EXACT,
    HEAVY_ROWS,
    SAMPLED_ROWS,
    SPLIT_TRACE,
    SPLIT_DIAGONAL,
    CG,
    NYSTROM_CG,
    DENSE,
]
"""The methods of this package, in the order they are listed."""

METHODS: list[Method] = [*ESTIMATORS, *PEERS]
"""The built-in methods: those of this package, and the published libraries behind them."""

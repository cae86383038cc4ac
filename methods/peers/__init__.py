"""Published libraries as methods: each calls a library that is imported when it runs, and is counted by our meter.

A name with `own` in it multiplies by the library's own operator, on a copy of the network, and is charged before each
product; every other one works on the counted operator. What the library was asked for and what it says of itself stand
in the diagnostics, as `asked` and `reported`.
"""

from __future__ import annotations

from hessbench.method import Method
from hessbench.methods.peers.backpack_diagonals import (
    BACKPACK_GGN_DIAGONAL,
    BACKPACK_GGN_DIAGONAL_MC,
    BACKPACK_HESSIAN_DIAGONAL,
)
from hessbench.methods.peers.curvlinops_estimators import (
    CURVLINOPS_DIAGONAL,
    CURVLINOPS_OWN_DIAGONAL,
    CURVLINOPS_OWN_TRACE,
    CURVLINOPS_TRACE,
)
from hessbench.methods.peers.curvlinops_spectra import (
    CURVLINOPS_DENSITY,
    CURVLINOPS_OWN_DENSITY,
    CURVLINOPS_OWN_EIGSH,
)
from hessbench.methods.peers.eigenthings import (
    EIGENTHINGS_DENSITY,
    EIGENTHINGS_LANCZOS,
    EIGENTHINGS_POWER,
    EIGENTHINGS_TRACE,
)
from hessbench.methods.peers.primate_estimators import (
    PRIMATE_HUTCH,
    PRIMATE_HUTCHPP,
    PRIMATE_LANCZOS,
    PRIMATE_XTRACE,
)
from hessbench.methods.peers.pyhessian_library import (
    PYHESSIAN_DENSITY,
    PYHESSIAN_OWN_DENSITY,
    PYHESSIAN_OWN_POWER,
    PYHESSIAN_OWN_TRACE,
    PYHESSIAN_POWER,
    PYHESSIAN_TRACE,
)
from hessbench.methods.peers.scipy_solvers import SCIPY_EIGSH, SCIPY_LOBPCG
from hessbench.methods.peers.skerch_sketches import SKERCH_HUTCH, SKERCH_SEIGH, SKERCH_XHUTCHPP

PEERS: list[Method] = [
    SCIPY_EIGSH,
    SCIPY_LOBPCG,
    PYHESSIAN_POWER,
    PYHESSIAN_OWN_POWER,
    PYHESSIAN_TRACE,
    PYHESSIAN_OWN_TRACE,
    PYHESSIAN_DENSITY,
    PYHESSIAN_OWN_DENSITY,
    CURVLINOPS_OWN_EIGSH,
    CURVLINOPS_TRACE,
    CURVLINOPS_OWN_TRACE,
    CURVLINOPS_DIAGONAL,
    CURVLINOPS_OWN_DIAGONAL,
    CURVLINOPS_DENSITY,
    CURVLINOPS_OWN_DENSITY,
    BACKPACK_GGN_DIAGONAL,
    BACKPACK_GGN_DIAGONAL_MC,
    BACKPACK_HESSIAN_DIAGONAL,
    SKERCH_SEIGH,
    SKERCH_HUTCH,
    SKERCH_XHUTCHPP,
    EIGENTHINGS_LANCZOS,
    EIGENTHINGS_POWER,
    EIGENTHINGS_TRACE,
    EIGENTHINGS_DENSITY,
    PRIMATE_LANCZOS,
    PRIMATE_HUTCH,
    PRIMATE_HUTCHPP,
    PRIMATE_XTRACE,
]
"""The adapters, by library."""

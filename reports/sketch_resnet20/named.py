"""Names that the units of the study write and that its verdicts and figures read, and the document's own numbers."""

from __future__ import annotations

from typing import Final

K: Final = 20
"""Eigenvalues that the document asks for."""

COUNTS: Final = (1, 2, 4, 20)
"""Numbers of first eigenvalues whose products the document counts."""

SIZES: Final = (50, 100)
"""Sizes of the document's sketches."""

DOCUMENT: Final = "resnet20-cifar10"
"""The document's network, on 64 images: the weights that ship with the library it uses."""

GGN: Final = "resnet20-cifar10[operator=ggn]"

POWER: Final = "power-iteration[stopping=pyhessian]"
LANCZOS: Final = "lanczos[reorth=full]"
LANCZOS_NONE: Final = "lanczos[reorth=none]"
REFINED: Final = "sketch-and-refine"
RANGE: Final = "randomized-eigh"
SKETCH: Final = "sketch"
HUTCHINSON: Final = "hutchinson"
HUTCHPP: Final = "hutchpp"
XNYSTRACE: Final = "xnystrace"
SLQ: Final = "slq[steps=50]"
SHARED: Final = "range shared with hutchpp"

TRUTH: Final = "eigenvalue of the reference"
RUN: Final = "first eigenvalue at the end of the run"
DRAWN: Final = "trace of the sketch"
TRACE: Final = "trace"
MASS: Final = "start of the quadrature"
RANK: Final = "rank of the GGN"
COLUMNS: Final = "columns of the GGN's factor"
PUBLISHED: Final = "published error of the sketch at rank"

POWER_PRODUCTS: Final = 349
LANCZOS_PRODUCTS: Final = {1: 4, 2: 8, 4: 14, 20: 45}
SKETCH_ERRORS: Final = {50: (39.0, 13.0, 11.3), 100: (21.0, 11.1, 11.8)}
"""Largest, mean and median error in per cent of the document's two sketches, by size."""

BELOW: Final = 0.3
"""Value below which the document finds more than 99 % of the eigenvalues."""

BELOW_SHARE: Final = 0.3 / 195
"""The same over the largest eigenvalue of its sketch."""

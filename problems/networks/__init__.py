"""Architectures, each in a module of its own, their initial states and their weight files."""

from __future__ import annotations

from hessbench.problems.networks.architectures.table import ARCHITECTURES, Architecture
from hessbench.problems.networks.flat import flat_forward, flat_parameters, module_forward, parameter_shapes
from hessbench.problems.networks.initial import initial_state
from hessbench.problems.networks.weight_files import load_state, read_weights

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "flat_forward",
    "flat_parameters",
    "initial_state",
    "load_state",
    "module_forward",
    "parameter_shapes",
    "read_weights",
]

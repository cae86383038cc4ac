"""Image data sets: the bundled digits, files of the user, and downloads kept in the cache."""

from __future__ import annotations

from hessbench.problems.data.datasets import DATASETS, DataSet
from hessbench.problems.data.download import fetch
from hessbench.problems.data.files import DATA_VARIABLE, data_file, read_once, unavailable
from hessbench.problems.data.samples import Samples, load, num_per_class
from hessbench.problems.data.shapes import adapted

__all__ = [
    "DATASETS",
    "DATA_VARIABLE",
    "DataSet",
    "Samples",
    "adapted",
    "data_file",
    "fetch",
    "load",
    "num_per_class",
    "read_once",
    "unavailable",
]

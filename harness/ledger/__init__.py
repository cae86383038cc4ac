"""The ledger: rows, the files they stand in, what they are scored against and where they were measured."""

from hessbench.ledger.reading import Ledger

__all__ = ["Ledger"]

"""Spectra drawn from the arrays that a ledger keeps: densities, nodes, ranks, and which of it to trust."""

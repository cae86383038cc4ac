"""The asv benchmarks: what a fixed list of cells costs and how wrong it is, commit by commit."""

"""Estimators of eigenvalues and of the spaces of their vectors, one algorithm a file."""

"""Estimators of the spectral density."""

"""Calibration of standard errors: coverage, verdicts, figures and the page."""

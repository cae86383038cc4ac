"""Figures of errors against what was spent."""

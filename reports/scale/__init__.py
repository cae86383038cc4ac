"""Checks and figures of how cost grows with dimension."""

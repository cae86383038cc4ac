"""Krylov spaces: one recurrence, and what is read off it."""

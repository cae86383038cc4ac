"""Matrices whose spectrum is known from the way they are made."""

"""Curvature matrices of a network, and how a product with one is made."""

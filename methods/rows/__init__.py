"""Estimators that take the rows of a GGN, one sample and one direction of its outputs each, in place of products."""

"""Architectures, each in a module of its own, their initial states and their weight files."""

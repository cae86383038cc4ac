"""Processes that run cells: a fork server per slot, a child per cell, and the watch over both."""

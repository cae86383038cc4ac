"""Estimators."""

from __future__ import annotations

from hessbench.method import Method

METHODS: list[Method] = []

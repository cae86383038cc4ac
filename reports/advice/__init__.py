"""Advice in words: the price, the pilot, what is recommended, the evidence, and what is promised."""

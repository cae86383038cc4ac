"""Sealed runs: the method in a process of its own, the operator and its count in another, and the door between them."""

"""The built-in networks as families of problems."""

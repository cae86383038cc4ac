"""A user's own network, data and loss as a problem, checked before it is trusted."""

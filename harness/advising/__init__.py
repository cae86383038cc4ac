"""Which method to take for a question about an operator of one's own, from prices and a pilot."""

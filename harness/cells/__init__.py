"""One cell in one process: what it is, how it runs, how it is metered."""

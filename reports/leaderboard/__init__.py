"""The page of the current bests: published ledgers, and a run of one's own beside them."""

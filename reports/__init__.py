"""Reports: read ledgers, run nothing."""

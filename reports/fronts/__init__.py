"""Error against each cost: which methods at which budgets no other beats in both."""

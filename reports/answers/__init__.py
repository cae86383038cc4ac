"""The answer as it is read: sentences and tables, of what the ledger's `answer` found."""

"""What every method must obey, whoever wrote it."""

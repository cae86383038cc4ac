"""Training by a recipe: deterministic, resumable, kept by content hash."""

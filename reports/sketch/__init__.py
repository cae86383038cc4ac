"""The page of the sketch study."""

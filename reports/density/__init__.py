"""The page of the density study."""

"""The page of the study of a single probe."""

"""Image data sets: the bundled digits, files of the user, and downloads kept in the cache."""

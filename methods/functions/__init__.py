"""Functions of the matrix applied to a vector, one algorithm a file."""

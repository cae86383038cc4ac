"""Products by published libraries, to compare the engines with. Each is imported where it is asked for."""

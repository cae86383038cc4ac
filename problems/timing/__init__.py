"""Products by published libraries, to hold the engines against. Each is imported where it is asked for."""

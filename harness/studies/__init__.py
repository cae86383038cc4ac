"""The documents' studies, one module each."""

"""Cases that are in no registry, drawn from a seed, on which the promises of methods and references are tried."""

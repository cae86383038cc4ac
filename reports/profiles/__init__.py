"""Methods over all problems at once: performance profiles, shares reached within a cost, and each method left out."""

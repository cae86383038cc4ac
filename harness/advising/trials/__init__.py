"""What advice has to run: prices, the pilot, and the answer itself."""

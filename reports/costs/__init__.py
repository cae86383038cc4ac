"""Tables of what an answer costs: prices, predictions, growth."""

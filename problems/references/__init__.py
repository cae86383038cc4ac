"""References of network problems: dense, by the Gram matrix, certified, statistical, and those that ship."""

"""The study of what an answer about a network costs in gradients."""

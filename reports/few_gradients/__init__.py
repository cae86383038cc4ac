"""The page of the study of few gradients: what an answer costs by whole products, and by what a network is."""

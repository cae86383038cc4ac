"""The sketch of a ResNet20's Hessian: what was measured, the published claims, the figures."""

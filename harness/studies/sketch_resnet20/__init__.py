"""The study of the sketch on ResNet20 and other networks: what is run, and the units that run it."""

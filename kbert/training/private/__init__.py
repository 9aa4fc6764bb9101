"""Training with differential privacy (DP-SGD): draws of rows, clipped gradients of single examples, secret noise."""

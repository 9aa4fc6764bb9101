"""Optimizers and learning-rate schedules, fused for the training step."""

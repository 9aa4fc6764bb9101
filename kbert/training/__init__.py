"""Pretraining and fine-tuning, and the training loop that both use."""

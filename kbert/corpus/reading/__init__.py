"""Pretraining records to batches."""

"""Predictions, metrics and feature vectors of a loaded model."""

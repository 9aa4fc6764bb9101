"""Adapters: small sets of trained weights for a base model, and the folders in which they are stored."""

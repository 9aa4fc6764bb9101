"""Keras models and layers from model folders and presets, and model folders from Keras models."""

"""Loads Keras models and layers from model folders and presets, and saves Keras models as model folders."""

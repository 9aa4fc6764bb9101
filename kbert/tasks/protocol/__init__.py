"""The protocols of a task: what prediction, export, training and evaluation ask of it."""

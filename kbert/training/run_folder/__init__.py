"""The files in the folder of a run: settings, checkpoints, the best weights, metrics, environment and model card."""

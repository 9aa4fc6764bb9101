"""Several runs of the same fine-tuning: searches for hyper-parameters, and repeats."""

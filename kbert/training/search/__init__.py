"""Commands with several runs of the same fine-tuning: hyper-parameter search, several seeds, and cross-validation."""

"""Text files to pretraining records, and records to batches."""

"""Text files to shards of pretraining records."""

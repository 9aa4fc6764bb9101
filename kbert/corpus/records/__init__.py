"""Pretraining records: how they are written to shards, and how shards are read."""

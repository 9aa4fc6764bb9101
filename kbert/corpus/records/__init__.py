"""Writes pretraining records to shards, and reads shards."""

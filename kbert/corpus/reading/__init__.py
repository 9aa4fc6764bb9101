"""Reads pretraining records and turns them into batches."""

"""Builds pretraining records from text files, and reads them in batches."""

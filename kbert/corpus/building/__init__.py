"""Builds shards of pretraining records from text files."""

"""Readers of files and tables, which return the examples of each task."""

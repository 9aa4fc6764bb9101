"""Reads documents and rows from files of several formats, from public datasets by name, and from tables in memory."""

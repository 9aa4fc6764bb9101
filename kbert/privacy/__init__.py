"""Masks personal data in files."""

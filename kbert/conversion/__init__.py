"""Conversion between model formats: one file per format, tables of tensor names, and the parity check."""

"""Requests that arrive at the same time are computed together."""

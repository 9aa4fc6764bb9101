"""Metadata with which MediaPipe and the Task Library open LiteRT models."""

"""Explanations: which words of a text a model's answer is due to."""

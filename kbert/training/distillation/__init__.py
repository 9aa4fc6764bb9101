"""Distillation: the outputs of a teacher, and the losses with which a student learns from them."""

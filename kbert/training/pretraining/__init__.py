"""Pretraining: the corpora and the starting model, the plan of a run, and the model folder that it writes."""

"""How good the models are, where, and what a reader can see of it."""

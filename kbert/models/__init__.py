"""The encoder and the model that pretrains it."""

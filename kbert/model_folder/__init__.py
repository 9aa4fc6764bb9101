"""The model folder: its files, the tensors that they hold, and where models are downloaded from."""

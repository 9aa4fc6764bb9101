"""The tokenizer inside a TensorFlow graph, so that a SavedModel takes text: the same ids as in Python."""

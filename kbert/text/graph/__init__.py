"""The tokenizer in a TensorFlow graph, so that a SavedModel accepts text. The ids are the same as in Python."""

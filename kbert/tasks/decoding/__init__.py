"""The decoding of generated texts, as TensorFlow graphs: token by token, with a cache of keys and values."""

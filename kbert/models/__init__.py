"""The Keras models: the encoder, and the encoder with each of its heads."""

"""BERT's optimizers and learning rates for Keras's `compile`, written in keras.ops alone."""

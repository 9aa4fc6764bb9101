"""The Keras layers of BERT. They use only keras.ops, so they run on every Keras backend."""

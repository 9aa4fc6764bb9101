"""The Keras layers of a BERT, written in keras.ops alone, so that they run on every Keras backend."""

"""Optimizers and learning-rate schedules for the `compile` of Keras. They use only keras.ops."""

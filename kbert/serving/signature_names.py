"""The names that TensorFlow Serving gives to signatures, their tensors and their methods."""

from __future__ import annotations

DEFAULT_SIGNATURE = "serving_default"
INIT_OP = "__saved_model_init_op"
"""A key of the signatures of a SavedModel that names the operation which initializes it."""

EXAMPLES = "inputs"
"""The input of classification and regression: serialized tf.Example protocol buffers."""
CLASSES = "classes"
SCORES = "scores"
VALUES = "outputs"

CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"

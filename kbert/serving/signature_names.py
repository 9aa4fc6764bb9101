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

ENCODE_SIGNATURE = "kbert_encode"
"""From texts to the inputs of the encoder, and to the features that the signature `kbert_answer` needs."""
ANSWER_SIGNATURE = "kbert_answer"
"""From the vectors of all tokens and the features to the answers of `serving_default`."""
ENCODER_INPUTS = ("encoder_word_ids", "encoder_mask", "encoder_type_ids")
"""Outputs of `kbert_encode`: token ids, 1 for tokens and 0 for padding, and segment ids; int32 [R, S]."""
ENCODER_VECTORS = "encoder_vectors"
"""The input of `kbert_answer` with the vectors of all tokens, float32 [R, S, H]."""

"""The signature `sample` of models for generation, with which a client draws other answers for each seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.prediction.text_model import TextModel, for_any_count, signature_function
from kbert.tasks.generation import GenerationTask

SAMPLE = "sample"
SEED, TEMPERATURE = "seed", "temperature"


def sampling_signatures(text_model: TextModel) -> dict[str, Any]:
    """Returns the signature `sample` as a tf.function by its name; {} if the model does not generate texts.

    It takes the texts, a seed for each text, int64 [B], and the divisor of its logits, float32 [B], where 0 or less
    takes the likeliest tokens. The answer to a text depends on its own seed and temperature only.

    Args:
        text_model: The model.
    """
    task = text_model.task
    if not isinstance(task, GenerationTask):
        return {}

    def sampled(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        seeds, temperature = inputs.pop(SEED), inputs.pop(TEMPERATURE)
        encoded = task.encode(text_model.encode, inputs)
        batch = {feature.name: encoded[feature.name] for feature in features.ENCODER_FEATURES}
        return task.served_answers(
            task.written(text_model.model, batch, text_model.encode, seeds, temperature), encoded
        )

    specs = [
        *text_model.text_specs,
        tf.TensorSpec([None], tf.int64, name=SEED),
        tf.TensorSpec([None], tf.float32, name=TEMPERATURE),
    ]
    return {SAMPLE: signature_function(for_any_count(sampled), specs)}


def with_seeds(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a request to `sample`: text inputs with seeds, and with temperatures of 1."""
    count = len(next(iter(inputs.values())))
    return {
        **inputs,
        SEED: tf.range(count, dtype=tf.int64),
        TEMPERATURE: tf.constant(np.ones(count), tf.float32),
    }

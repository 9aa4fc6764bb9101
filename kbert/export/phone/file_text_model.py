"""A model from text to answers that asks a LiteRT file row by row, as an app does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.export.phone.row_model import RAW_PREFIX, rows_of
from kbert.inference.litert_model import interpreter
from kbert.prediction.text_model import TextModel
from kbert.text.graph.encoder import GraphEncoder


class FileTextModel:
    """A model like `TextModel`, whose raw outputs are those of a LiteRT file.

    Args:
        text_model: The model from text to answers that was exported.
        content: The content of the .tflite file, with raw outputs (see `RowModel`) and one signature.
        sequence_length: The number of tokens of a row of the file.
        threads: The number of threads of a computation.
    """

    def __init__(self, text_model: TextModel, content: bytes, sequence_length: int, threads: int) -> None:
        self._text_model = text_model
        self._length = sequence_length
        self._encode = GraphEncoder(text_model.encode.tokenizer, sequence_length)
        self._runner = interpreter(content, threads).get_signature_runner()
        self._token_wise = token_wise_outputs(text_model)

    def from_text(self, *texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the answers to texts; see `TextModel.from_text`."""
        return self._answers(self._text_model.task.add_prompts(self._named(texts)))

    def without_prompts(self) -> Callable[..., dict[str, tf.Tensor]]:
        """Returns a function like `from_text`, for texts that already have their prompts."""
        return lambda *texts: self._answers(self._named(texts))

    def raw_outputs(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns all outputs of the file for a batch of features.

        Args:
            batch: The features of the model, int32 [B, S], [B, C, S] or [B, P].

        Returns:
            The outputs by name, float32 [R, ...], with a row for each row of `rows_of`; those that do not depend on the
            inputs only once.
        """
        constant = self._text_model.task.constant_outputs
        rows = rows_of(self._text_model.task, batch, self._length)
        answers = [
            self._runner(**{name: values[index : index + 1] for name, values in rows.items()})
            for index in range(len(next(iter(rows.values()))))
        ]
        return {
            name: first if name.removeprefix(RAW_PREFIX) in constant else np.concatenate([row[name] for row in answers])
            for name, first in answers[0].items()
        }

    def _named(self, texts: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        return {text.name: values for text, values in zip(self._text_model.task.text_inputs, texts, strict=True)}

    def _answers(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        task = self._text_model.task
        encoded = task.encode(self._encode, inputs)
        batch = {feature.name: encoded[feature.name].numpy() for feature in task.model_features}
        ids = batch[features.INPUT_WORD_IDS.name]
        outputs = {}
        for name, values in self.raw_outputs(batch).items():
            if name.startswith(RAW_PREFIX):
                name = name.removeprefix(RAW_PREFIX)
                if name in self._token_wise:
                    values = values[:, : ids.shape[-1]]
                elif ids.ndim == 3:
                    # A model for multiple choice has a row for each choice of an example.
                    values = values.reshape(ids.shape[:2])
                outputs[name] = tf.constant(values)
        answers: dict[str, tf.Tensor] = task.served_answers(outputs, encoded)
        return answers


def token_wise_outputs(text_model: TextModel) -> frozenset[str]:
    """Returns the names of the raw outputs of a model that have a value for each token, float32 [B, S, ...].

    Args:
        text_model: The model from text to answers.
    """
    model: Any = text_model.model
    config = model.encoder.config
    batch = {
        feature.name: tf.TensorSpec([None] * (1 + len(feature.dimensions)), tf.int32)
        for feature in text_model.task.model_features
    }
    if len(batch[features.INPUT_WORD_IDS.name].shape) > 2:
        return frozenset()  # a row for each choice
    encoded = {"sequence_output": tf.TensorSpec([None, None, config.hidden_size], tf.float32)}
    if model.encoder.pooler is not None:
        encoded["pooled_output"] = tf.TensorSpec([None, config.hidden_size], tf.float32)
    heads = tf.function(lambda outputs, inputs: model.heads(outputs, inputs, training=False), autograph=False)
    outputs = heads.get_concrete_function(encoded, batch).structured_outputs
    return frozenset(name for name, value in outputs.items() if value.shape.as_list()[:2] == [None, None])

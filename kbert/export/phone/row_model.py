"""A model as a function of one row of tokens, as apps on phones call it.

Apps ask for one text at a time, so each input of the function has one row. A model for multiple choice reads one choice
and returns its logit; the app compares the choices. A model for masked words reads the positions of up to MASKS masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.export.phone.graph import InferenceGraph, constants_of
from kbert.models.encoder import BertEncoder
from kbert.tasks.protocol.answering import AnsweringTask

MASKS = 5
"""The number of positions of masks that a model for masked words reads."""

RAW_PREFIX = "raw_"
"""The beginning of the names of the outputs of the model itself, which an evaluation needs."""


class RowModel:
    """A model from the features of one row to its answers, as a graph for LiteRT.

    Args:
        task: The task of the model.
        model: The Keras model that `task.build` returned. Its present weights become constants of the graph.
        sequence_length: The number of tokens of a row, S.
        unchanged_kernels: See `kbert.inference.packed_encoder.PackedEncoder`.
    """

    def __init__(
        self, task: AnsweringTask[Any], model: Any, sequence_length: int, *, unchanged_kernels: bool = False
    ) -> None:
        self.task = task
        self.model = model
        self.sequence_length = sequence_length
        encoder: BertEncoder = model.encoder
        self._graph = InferenceGraph(encoder, sequence_length, unchanged_kernels=unchanged_kernels)
        encoder_variables = {id(variable) for variable in encoder.variables}
        self._head = [variable for variable in model.variables if id(variable) not in encoder_variables]
        if features.MASKED_LM_POSITIONS in task.model_features:
            # The head multiplies with the token table, which is a variable of the encoder.
            self._head.append(encoder.embeddings.token_table)

    @property
    def signature(self) -> list[tf.TensorSpec]:
        """The inputs: int32 [1, S], or int32 [1, MASKS] for the positions of masks."""
        return [
            tf.TensorSpec([1, MASKS if feature.dimensions == "P" else self.sequence_length], tf.int32, feature.name)
            for feature in self.task.model_features
        ]

    def __call__(self, *inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the answers to one row.

        Args:
            inputs: The tensors of `signature`.

        Returns:
            The outputs that the task has for tokens, such as `probabilities`, float32 [1, C]; for multiple choice the
            `logits` of the choice, float32 [1]; for a tagger with a CRF also its tables. And the outputs of the model,
            with RAW_PREFIX before their names.
        """
        batch = {spec.name: value for spec, value in zip(self.signature, inputs, strict=True)}
        one_of_many = any(feature.dimensions == "CS" for feature in self.task.model_features)
        asked = {name: tf.expand_dims(value, 1) for name, value in batch.items()} if one_of_many else batch
        encoded = self._graph(*(batch[feature.name] for feature in features.ENCODER_FEATURES))
        with constants_of(self._head):
            raw = self.model.heads(encoded, asked)
        if one_of_many:
            answers = {name: tf.reshape(value, [1]) for name, value in raw.items()}
        else:
            answers = self.task.token_outputs(raw, batch)
            answers.update({name: raw[name] for name in self.task.constant_outputs})
        return {**answers, **{f"{RAW_PREFIX}{name}": value for name, value in raw.items()}}


def rows_of(task: AnsweringTask[Any], batch: Mapping[str, np.ndarray], sequence_length: int) -> dict[str, np.ndarray]:
    """Returns the rows with which a `RowModel` answers a batch.

    Args:
        task: The task.
        batch: The features of the model, int32 [B, S], [B, C, S] or [B, P] with S at most `sequence_length`.
        sequence_length: The number of tokens of a row, to which rows are padded with 0.

    Returns:
        The inputs of the rows, int32 [R, sequence_length] and [R, MASKS], where R is B or B * C. Positions of masks
        beyond MASKS are not among them; see `raw_outputs`.
    """
    rows = {}
    for feature in task.model_features:
        values = np.asarray(batch[feature.name])
        values = values.reshape(-1, values.shape[-1])
        width = MASKS if feature.dimensions == "P" else sequence_length
        values = values[:, :width]
        rows[feature.name] = np.pad(values, ((0, 0), (0, width - values.shape[1]))).astype(np.int32)
    return rows

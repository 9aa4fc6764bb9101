"""A model from text to answers whose encoder is run by LiteRT."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from kbert.features import ENCODER_FEATURES
from kbert.inference.litert_rows import LiteRtRows
from kbert.inference.session_function import SessionFunction
from kbert.prediction.around_encoder import AroundEncoder
from kbert.prediction.text_model import ROWS_AT_ONCE, TextModel


class LiteRtTextModel:
    """A model like `TextModel`, with LiteRT for the encoder, and graphs of TensorFlow before and after it.

    Args:
        text_model: The model from text to answers.
        encoder: The encoder of the model.
    """

    def __init__(self, text_model: TextModel, encoder: LiteRtRows) -> None:
        self._text_model = text_model
        self._encoder = encoder
        self.from_text = self._answering(text_model.task.add_prompts)

    def without_prompts(self) -> Callable[..., dict[str, np.ndarray]]:
        """Returns a function like `from_text`, for texts that already have their prompts."""
        return self._answering(lambda texts: texts)

    def _answering(
        self, prompted: Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]
    ) -> Callable[..., dict[str, np.ndarray]]:
        graphs: list[_Graphs] = []

        def answers(*texts: np.ndarray | tf.Tensor) -> dict[str, np.ndarray]:
            if not graphs:
                graphs.append(_Graphs(AroundEncoder(self._text_model, prompted)))
            return self._answers(graphs[0], texts)

        return answers

    def _answers(self, graphs: _Graphs, texts: Sequence[np.ndarray | tf.Tensor]) -> dict[str, np.ndarray]:
        features, inputs = graphs.encoded(*texts)
        ids, mask, types = (inputs[feature.name] for feature in ENCODER_FEATURES)
        found: dict[str, np.ndarray]
        if not self._text_model.task.windowed or len(ids) <= ROWS_AT_ONCE:
            found = graphs.answers(self._encoder(ids, mask, types), features)
            return found
        # All windows of long texts may not fit in memory, so they are computed in parts.
        parts = []
        for start in range(0, len(ids), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            vectors = self._encoder(ids[rows], mask[rows], types[rows])
            batch = {feature.name: features[feature.name][rows] for feature in self._text_model.task.model_features}
            parts.append(graphs.outputs(vectors, batch))
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        found = graphs.answers_of_outputs(outputs, features)
        return found


class _Graphs:
    """The graphs before and after the encoder, each traced once for all sizes.

    Args:
        around: The computation before and after the encoder.
    """

    def __init__(self, around: AroundEncoder) -> None:
        self._around = around
        names = [spec.name for spec in around.text_model.text_specs]

        def encoded(*texts: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
            return around.encode(dict(zip(names, texts, strict=True)))

        self.encoded = SessionFunction(encoded, *around.text_model.text_specs)
        """The function from the texts to the features, and to the inputs of the encoder."""
        self._features: dict[str, tf.TensorSpec] = self.encoded.output_specs[0]
        self.answers = SessionFunction(around.answer, around.vector_spec(), self._features)
        """The function from the vectors of all tokens, float32 [R, S, H], and the features to the answers."""

    @functools.cached_property
    def outputs(self) -> SessionFunction:
        """The function from the vectors of the tokens of some windows, and the features to the outputs of the model."""
        task = self._around.text_model.task
        batch = {feature.name: self._features[feature.name] for feature in task.model_features}
        return SessionFunction(self._around.outputs, self._around.vector_spec(), batch)

    @functools.cached_property
    def answers_of_outputs(self) -> SessionFunction:
        """The function from the outputs of the model for all windows, and the features, to the answers."""
        return SessionFunction(self._around.text_model.task.served_answers, self.outputs.output_specs, self._features)

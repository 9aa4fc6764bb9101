"""A model from text to answers whose encoder is run by LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from kbert.inference.litert_encoder import LiteRtEncoder
from kbert.prediction.text_model import TextModel

_VECTORS = "sequence_output"


class LiteRtTextModel:
    """A model like `TextModel`, with LiteRT for the encoder, and graphs of TensorFlow before and after it.

    Args:
        text_model: The model from text to answers.
        encoder: The encoder of the model.
    """

    def __init__(self, text_model: TextModel, encoder: LiteRtEncoder) -> None:
        self._text_model = text_model
        self._encoder = encoder
        self._heads: Any = None
        self.from_text = self._answering(text_model.task.add_prompts)

    def without_prompts(self) -> Callable[..., dict[str, tf.Tensor]]:
        """Returns a function like `from_text`, for texts that already have their prompts."""
        return self._answering(lambda texts: texts)

    def _answering(
        self, prompted: Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]
    ) -> Callable[..., dict[str, tf.Tensor]]:
        task, model, encode = self._text_model.task, self._text_model.model, self._text_model.encode
        names = [spec.name for spec in self._text_model.text_specs]

        @tf.function(input_signature=self._text_model.text_specs)
        def encoded(*texts: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
            features = task.encode(encode, prompted(dict(zip(names, texts, strict=True))))
            batch = {feature.name: features[feature.name] for feature in task.model_features}
            return features, model.encoder_inputs(batch)

        def answers(*texts: tf.Tensor) -> dict[str, tf.Tensor]:
            features, rows = encoded(*texts)
            vectors = self._encoder(**{name: value.numpy() for name, value in rows.items()})
            if self._heads is None:
                symbols = encoded.get_concrete_function().structured_outputs[0]
                specs = {name: tf.TensorSpec(symbol.shape, symbol.dtype) for name, symbol in symbols.items()}
                self._heads = self._heads_for(specs)
            found: dict[str, tf.Tensor] = self._heads(vectors, features)
            return found

        return answers

    def _heads_for(self, features: dict[str, tf.TensorSpec]) -> Any:
        """Returns a tf.function from the vectors of tokens and from `features`, which `task.encode` returned."""
        task, model = self._text_model.task, self._text_model.model
        vectors = tf.TensorSpec([None, None, model.encoder.config.hidden_size], tf.float32)

        @tf.function(input_signature=[vectors, features])
        def heads(vectors: tf.Tensor, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            outputs = {_VECTORS: vectors}
            if model.encoder.pooler is not None:
                outputs["pooled_output"] = model.encoder.pooler(vectors)
            batch = {feature.name: features[feature.name] for feature in task.model_features}
            return task.served_answers(model.heads(outputs, batch, training=False), features)

        return heads

"""A model from text to answers whose encoder is run by LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from kbert.inference.litert_encoder import LiteRtEncoder
from kbert.prediction.text_model import ROWS_AT_ONCE, TextModel


class LiteRtTextModel:
    """A model like `TextModel`, with LiteRT for the encoder, and graphs of TensorFlow before and after it.

    Args:
        text_model: The model from text to answers.
        encoder: The encoder of the model.
    """

    def __init__(self, text_model: TextModel, encoder: LiteRtEncoder) -> None:
        self._text_model = text_model
        self._encoder = encoder
        self._heads = tf.function(self._outputs, reduce_retracing=True, autograph=False)
        self._served = tf.function(text_model.task.served_answers, reduce_retracing=True, autograph=False)
        self.from_text = self._answering(text_model.task.add_prompts)

    def without_prompts(self) -> Callable[..., dict[str, tf.Tensor]]:
        """Returns a function like `from_text`, for texts that already have their prompts."""
        return self._answering(lambda texts: texts)

    def _answering(
        self, prompted: Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]
    ) -> Callable[..., dict[str, tf.Tensor]]:
        task, model, encode = self._text_model.task, self._text_model.model, self._text_model.encode
        names = [spec.name for spec in self._text_model.text_specs]

        @tf.function(input_signature=self._text_model.text_specs, autograph=False)
        def encoded(*texts: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
            features = task.encode(encode, prompted(dict(zip(names, texts, strict=True))))
            return features, {feature.name: features[feature.name] for feature in task.model_features}

        def answers(*texts: tf.Tensor) -> dict[str, tf.Tensor]:
            features, batch = encoded(*texts)
            # All windows of long texts may not fit in memory, so they are computed in parts.
            rows = len(next(iter(batch.values())))
            size = ROWS_AT_ONCE if task.windowed else max(rows, 1)
            parts = []
            for start in range(0, max(rows, 1), size):
                part = {name: values[start : start + size] for name, values in batch.items()}
                inputs = {name: values.numpy() for name, values in model.encoder_inputs(part).items()}
                parts.append(self._heads(self._encoder(**inputs), part))
            outputs = (
                parts[0]
                if len(parts) == 1
                else {name: tf.concat([part[name] for part in parts], 0) for name in parts[0]}
            )
            found: dict[str, tf.Tensor] = self._served(outputs, features)
            return found

        return answers

    def _outputs(self, vectors: tf.Tensor, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the outputs of the model, given the vectors of all tokens, float32 [R, S, H], and its features."""
        model = self._text_model.model
        outputs = {"sequence_output": vectors}
        if model.encoder.pooler is not None:
            outputs["pooled_output"] = model.encoder.pooler(vectors)
        found: dict[str, tf.Tensor] = model.heads(outputs, batch, training=False)
        return found

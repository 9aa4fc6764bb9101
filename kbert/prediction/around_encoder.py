"""The computation before and after the encoder, for programs that run the encoder by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from kbert.prediction.text_model import TextModel

Tensors = Mapping[str, tf.Tensor]


class AroundEncoder:
    """A model from text to answers without its encoder.

    Args:
        text_model: The model from text to answers.
        prompted: Adds the prompts to the texts; the default adds those of the task.
    """

    def __init__(self, text_model: TextModel, prompted: Callable[[Tensors], Tensors] | None = None) -> None:
        self.text_model = text_model
        self._prompted = prompted or text_model.task.add_prompts

    def encode(self, texts: Tensors) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Tokenizes texts.

        Args:
            texts: The texts by the names of the task's inputs.

        Returns:
            The features, which `answer` needs, and the inputs of the encoder, int32 [R, S].
        """
        task, model = self.text_model.task, self.text_model.model
        features = task.encode(self.text_model.encode, self._prompted(texts))
        return features, model.encoder_inputs({feature.name: features[feature.name] for feature in task.model_features})

    def outputs(self, vectors: tf.Tensor, batch: Tensors) -> dict[str, tf.Tensor]:
        """Applies the pooler and the heads.

        Args:
            vectors: The vectors of all tokens, float32 [R, S, H]; of an encoder with `pooled_only`, those of the first
                tokens, float32 [R, 1, H].
            batch: The features that the model takes.

        Returns:
            The outputs of the model.
        """
        model = self.text_model.model
        outputs = {"sequence_output": vectors}
        if model.encoder.pooler is not None:
            outputs["pooled_output"] = model.encoder.pooler(vectors)
        found: dict[str, tf.Tensor] = model.heads(outputs, batch, training=False)
        return found

    def answer(self, vectors: tf.Tensor, features: Tensors) -> dict[str, tf.Tensor]:
        """Returns the answers.

        Args:
            vectors: See `outputs`.
            features: The features that `encode` returned.
        """
        return self.text_model.task.served_answers(self.outputs(vectors, features), features)

    def vector_spec(self) -> tf.TensorSpec:
        """Returns the dtype and the shape of the vectors."""
        return tf.TensorSpec([None, None, self.text_model.model.encoder.config.hidden_size], tf.float32)

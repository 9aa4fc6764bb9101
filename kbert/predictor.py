"""A loaded model: text in, answers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.bundle import Bundle
from kbert.config import BertConfig
from kbert.errors import BundleError, UsageError, shown
from kbert.files import PathLike
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors
from kbert.tasks.task import Example, Task, task_from_bundle
from kbert.text.graph_encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer


class TextModel(tf.Module):
    """A model from text to answers as one graph: what is evaluated, exported and served is this.

    Args:
        task: Knows what the outputs mean.
        model: The Keras model that `task.build` made.
        encode: Texts to features.
    """

    def __init__(self, task: Task, model: Any, encode: GraphEncoder) -> None:
        super().__init__(name="text_model")
        self.task = task
        self.model = model
        self.encode = encode
        text = [tf.TensorSpec([None], tf.string, name="text")]
        if task.paired:
            text.append(tf.TensorSpec([None], tf.string, name="text_pair"))
        ids = [tf.TensorSpec([None, None], tf.int32, name=feature.name) for feature in features.ENCODER_FEATURES]
        self.from_text = tf.function(self._from_text, input_signature=text)
        self.from_tokens = tf.function(self._from_tokens, input_signature=ids)

    def _from_text(self, text: tf.Tensor, text_pair: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        return self.task.answers(self.model(self.encode(text, text_pair), training=False))

    def _from_tokens(
        self, input_word_ids: tf.Tensor, input_mask: tf.Tensor, input_type_ids: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        values = (input_word_ids, input_mask, input_type_ids)
        batch = {feature.name: value for feature, value in zip(features.ENCODER_FEATURES, values, strict=True)}
        return self.task.answers(self.model(batch, training=False))


class Predictor:
    """A fine-tuned model.

    Args:
        task: Its task.
        model: The Keras model that `task.build` made.
        tokenizer: Its tokenizer.
        sequence_length: Longest input in tokens.

    Example:
        >>> model = kbert.load("RUN")
        >>> model.predict(["a fine film"])
        [{'text': 'a fine film', 'label': '1', 'probabilities': {'0': 0.02, '1': 0.98}}]
    """

    def __init__(self, task: Task, model: Any, tokenizer: Tokenizer, sequence_length: int) -> None:
        self.task = task
        self.model = model
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.text_model = TextModel(task, model, GraphEncoder(tokenizer.to_graph(), sequence_length))

    @property
    def encoder(self) -> BertEncoder:
        """The encoder: features to vectors."""
        encoder: BertEncoder = self.model.encoder
        return encoder

    @property
    def config(self) -> BertConfig:
        """The shape of the encoder."""
        return self.encoder.config

    def predict(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, batch_size: int = 64
    ) -> list[dict[str, Any]]:
        """Answers for texts, or pairs, in their order.

        Returns:
            One dict a text: "text" (and "pair"), and what the task answers; for classification "label" and
            "probabilities".

        Raises:
            UsageError: The model wants pairs and gets none, or the other way round.
        """
        answers = self.answers(texts, pairs, batch_size=batch_size)
        results = []
        for index, text in enumerate(texts):
            given = {"text": text} if pairs is None else {"text": text, "pair": pairs[index]}
            results.append(given | self.task.answer({name: values[index] for name, values in answers.items()}))
        return results

    def answers(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, batch_size: int = 64
    ) -> dict[str, np.ndarray]:
        """The served answers for texts, or pairs: arrays with a row a text."""
        if (pairs is not None) != self.task.paired:
            wanted = "pairs of texts" if self.task.paired else "single texts"
            raise UsageError(f"this model answers for {wanted}. Received the other")
        inputs = [np.array([text.encode("utf-8", "replace") for text in texts], object)]
        if pairs is not None:
            if len(pairs) != len(texts):
                raise UsageError(f"expected as many pairs as texts. Received: {len(pairs)} and {len(texts)}")
            inputs.append(np.array([pair.encode("utf-8", "replace") for pair in pairs], object))
        if not len(texts):
            return {}
        # Texts of like length together: a batch is padded to its longest.
        order = np.argsort([sum(map(len, row)) for row in zip(*inputs, strict=True)], kind="stable")
        parts: list[dict[str, np.ndarray]] = []
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            outputs = self.text_model.from_text(*(tf.constant(values[rows], tf.string) for values in inputs))
            parts.append({name: value.numpy() for name, value in outputs.items()})
        back = np.argsort(order, kind="stable")
        return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}

    def evaluate(
        self,
        data: PathLike | Sequence[Example],
        columns: Mapping[str, str] | None = None,
        *,
        batch_size: int = 64,
    ) -> dict[str, Any]:
        """Metrics on a table of examples with targets.

        Args:
            data: A file that the task reads, or examples.
            columns: Of the file; the task's own by default.
            batch_size: Examples at a time.

        Raises:
            DataError: The file cannot be read, or has a label that training never saw.
        """
        path: PathLike = "examples"
        if not isinstance(data, Sequence) or isinstance(data, str):
            path = data
            data = self.task.read(path, columns or self.task.default_columns())
        targets = self.task.targets(data, path)
        pairs = [example.pair or "" for example in data] if self.task.paired else None
        return self.task.evaluate(targets, self.answers([e.text for e in data], pairs, batch_size=batch_size))


def load(path: PathLike, *, paired: bool | None = None) -> Predictor:
    """Loads a fine-tuned model.

    Args:
        path: A model folder that `finetune` wrote, or one that Hugging Face Transformers saved with a classifier.
        paired: Whether examples are pairs of texts. Only a folder of another library needs to be told.

    Raises:
        BundleError: The folder is no model, is damaged, or is for no task.
        UsageError: `paired` contradicts what kbert knows of the folder.
    """
    bundle = Bundle.load(path)
    task = task_from_bundle(bundle, path, paired=paired)
    model = task.build(BertEncoder(bundle.config))
    assign_tensors(task.slots(model), bundle.tensors)
    return Predictor(task, model, bundle.tokenizer, _sequence_length(bundle, path))


def _sequence_length(bundle: Bundle, path: PathLike) -> int:
    most = bundle.config.max_position_embeddings
    length = bundle.settings.get("sequence_length", most)
    if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= most:
        raise BundleError(f"{path}: kbert.json must say a sequence_length of 1 to {most}. Received: {shown(length)}")
    return length

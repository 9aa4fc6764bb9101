"""A model from text to explanations as one graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from kbert import features
from kbert.errors import UsageError
from kbert.prediction.explanation.attribution import METHODS
from kbert.prediction.explanation.explained_model import ExplainedModel, ExplainedRows
from kbert.prediction.explanation.words import GraphWords, graph_words, words_of_tokens
from kbert.prediction.text_model import TextModel, for_any_count, signature_function
from kbert.tasks.protocol.explaining import LABEL, SENTENCE, SPAN, ExplainableTask, PartsExplainingTask

CHOICE = "choice"
"""The output with the chosen text, for tasks with a list of texts."""
CHOICE_SPECS: Mapping[str, tf.TensorSpec] = {
    LABEL: tf.TensorSpec([None], tf.string, name=LABEL),
    SPAN: tf.TensorSpec([None, 2], tf.int32, name=SPAN),
    SENTENCE: tf.TensorSpec([None], tf.int32, name=SENTENCE),
}
"""The inputs with which the caller chooses what is explained of each text."""
NO_CHOICE: Mapping[str, Any] = {LABEL: "", SPAN: (0, 0), SENTENCE: -1}
"""The values of these inputs that leave the choice to the model."""


class ExplainingGraph(tf.Module):
    """A model from text to the scores of words. Python and exports both use it.

    Args:
        text_model: The model from text to answers.
        method: The name of a method of `kbert.prediction.explanation.attribution`.

    Raises:
        UsageError: The task has no number for each text.
    """

    def __init__(self, text_model: TextModel, method: str) -> None:
        super().__init__(name="explaining_graph")
        task = text_model.task
        if not isinstance(task, ExplainableTask):
            raise UsageError(
                "expected a model for a task whose answers can be explained (docs/trust.md lists them). "
                f"Received: a model for {task.name}"
            )
        self._text_model = text_model
        self._task: Any = task
        self._method = METHODS[method]
        vocabulary = text_model.encode.tokenizer.vocabulary
        self._explained = ExplainedModel(task, text_model.model, vocabulary.pad_id)
        self._labels = task.explained_labels
        self.inputs = task.explained_inputs
        specs = [*(text.spec for text in self.inputs), *(CHOICE_SPECS[name] for name in task.caller_choices)]
        call = self._from_text
        if task.compares_vectors:
            call = self._from_pair
        elif isinstance(task, PartsExplainingTask):
            call = self._from_parts
        self.from_text = signature_function(for_any_count(call), specs)

    def _from_text(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the scores of the words of each text; W is the largest number of words in a text of the batch.

        `count`, the number of words, is int32 [B]; `words`, string [B, W]; `starts` and `ends`, character offsets,
        int32 [B, W]; `inputs`, the index of the text of a pair that each word is from, int32 [B, W]; `scores`,
        float32 [B, W]; `completeness_gap`, float32 [B]; and `label`, string [B], or for a task without labels `value`,
        the explained number, float32 [B]. For tasks with a list of texts, `choice` is the one whose number is
        explained, string [B].
        """
        texts = {spec.name: inputs[spec.name] for spec in self._text_model.text_specs}
        task, encode = self._task, self._text_model.encode
        asked = self._with_chosen(texts)
        prompted = task.add_prompts(asked)
        encoded = task.encode(encode, prompted)
        # A single choice has a row of its own.
        row = {
            feature.name: tf.reshape(encoded[feature.name], [-1, tf.shape(encoded[feature.name])[-1]])
            for feature in features.ENCODER_FEATURES
        }
        plain = [value[:, 0] if len(value.shape) == 2 else value for value in asked.values()]
        words = graph_words(
            encode,
            row,
            plain,
            [value[:, 0] if len(value.shape) == 2 else value for value in prompted.values()],
            keeps_end=task.keeps_end,
        )
        rows = ExplainedRows(row, words.of_tokens, tf.zeros_like(words.count))
        outputs = self._explained.outputs(self._explained.embedded(rows), rows)
        target = tf.cast(task.explained_target(outputs), tf.int32)
        answer = {"value": task.explained_number(outputs, target)}
        if self._labels is not None:
            chosen = self._chosen_labels(inputs)
            target = tf.where(chosen >= 0, chosen, target)
            answer = {LABEL: tf.gather(tf.constant(list(self._labels)), target)}
        return {
            **self._scored_words(rows._replace(target=target), words),
            **answer,
            **({CHOICE: plain[-1]} if task.explained_choice else {}),
        }

    def _from_parts(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the scores of the words for a part of each answer, as `_from_text` returns them.

        What is explained has the names of ANSWERS. If a text is split into windows, the words are those of the window
        from which the explained part is; no other word has an effect. Of a task with sentences, `inputs` are the
        indices of the sentences.
        """
        task, encode = self._task, self._text_model.encode
        texts = {spec.name: inputs[spec.name] for spec in self._text_model.text_specs}
        encoded = task.encode(encode, task.add_prompts(texts))
        chosen = {name: inputs[name] for name in task.caller_choices}
        if LABEL in chosen:
            chosen[LABEL] = self._chosen_labels(inputs)
        if SENTENCE in chosen:
            chosen[SENTENCE] = _checked_sentences(chosen[SENTENCE], texts[self.inputs[0].name])
        part = task.explained_part(encode, encoded, self._text_model.outputs(encoded), chosen)
        strings = [texts[text.name] for text in self.inputs if not text.is_span]
        columns = tf.concat([each if len(each.shape) == 2 else each[:, None] for each in strings], 1)
        words = words_of_tokens(encode, part.features[features.INPUT_WORD_IDS.name], part.places, columns)
        return {**self._scored_words(ExplainedRows(part.features, words.of_tokens, part.target), words), **part.answers}

    def _from_pair(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the scores of the words of two texts whose vectors are compared, as `_from_text` returns them."""
        task, encode = self._task, self._text_model.encode
        first, second = (inputs[text.name] for text in self.inputs)
        size = tf.size(first)
        plain = tf.concat([first, second], 0)
        prompted = tf.strings.join([tf.where(tf.range(2 * size) < size, task.prompt, task.pair_prompt), plain])
        encoded = encode(prompted)
        words = graph_words(encode, encoded, [plain], [prompted])
        rows = ExplainedRows(encoded, words.of_tokens, tf.zeros_like(words.count))
        vectors = self._explained.outputs(self._explained.embedded(rows), rows)["vector"]
        # The text that a text is compared with does not change.
        rows = rows._replace(target=tf.roll(vectors, size, 0))
        scores, gaps = self._method(self._explained, rows)
        of_both = tf.repeat(tf.constant([[0], [1]]), size, 0) + tf.zeros_like(words.starts)

        def joined(values: tf.Tensor) -> tf.Tensor:
            parts = zip(tf.split(values, 2), tf.split(words.count, 2), strict=True)
            return tf.concat([tf.RaggedTensor.from_tensor(part, count) for part, count in parts], 1).to_tensor()

        return {
            "count": tf.reduce_sum(tf.reshape(words.count, [2, -1]), 0),
            "words": joined(words.surfaces),
            "starts": joined(words.starts),
            "ends": joined(words.ends),
            "inputs": joined(of_both),
            "scores": joined(scores),
            "completeness_gap": tf.reduce_max(tf.reshape(gaps, [2, -1]), 0),
            "value": task.explained_number({"vector": vectors}, rows.target)[:size],
        }

    def _scored_words(self, rows: ExplainedRows, words: GraphWords) -> dict[str, tf.Tensor]:
        """Returns the words of rows with their scores."""
        scores, gap = self._method(self._explained, rows)
        return {
            "count": words.count,
            "words": words.surfaces,
            "starts": words.starts,
            "ends": words.ends,
            "inputs": words.texts,
            "scores": scores,
            "completeness_gap": gap,
        }

    def _with_chosen(self, texts: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the texts, with the chosen text alone in a list of texts."""
        task = self._task
        if task.explained_choice is None:
            return texts
        encoded = task.encode(self._text_model.encode, task.add_prompts(texts))
        served = task.served_answers(self._text_model.outputs(encoded), encoded)
        listed = next(text.name for text in task.text_inputs if text.is_list)
        return texts | {listed: served[task.explained_choice][:, None]}

    def _chosen_labels(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the index of the label that the caller chose for each text, int32 [B]; -1 for no choice."""
        labels = list(self._labels or ())
        matches = inputs[LABEL][:, None] == tf.constant(labels)[None]
        known = tf.reduce_any(matches, -1)
        check = tf.debugging.Assert(
            tf.reduce_all(known | (inputs[LABEL] == "")),
            [f"expected one of the labels {', '.join(labels):.500}, or an empty text. Received:", inputs[LABEL]],
        )
        with tf.control_dependencies([check] if check is not None else []):
            return tf.where(known, tf.argmax(matches, -1, tf.int32), -1)


def _checked_sentences(chosen: tf.Tensor, sentences: tf.Tensor) -> tf.Tensor:
    """Returns the chosen sentences, int32 [B], if the documents have them; the sentences are string [B, C]."""
    counts = tf.reduce_sum(tf.cast(sentences != "", tf.int32), -1)
    check = tf.debugging.Assert(
        tf.reduce_all(chosen < tf.maximum(counts, 1)),
        ["expected the index of a sentence, from 0, or -1 for the best one. Received:", chosen],
    )
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(chosen)

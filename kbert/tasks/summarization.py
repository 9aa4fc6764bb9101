"""Extractive summarization: the sentences of a document that sum it up."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from kbert.corpus.sentences import split_sentences
from kbert.errors import UsageError
from kbert.files import PathLike
from kbert.layers.heads import MASKED_LOGIT
from kbert.models.encoder import BertEncoder
from kbert.models.token_classification import TokenClassificationModel
from kbert.sources.bad_rows import BadRows
from kbert.tasks.explained.sentences import sentence_places
from kbert.tasks.labels import label_names
from kbert.tasks.metrics.rouge import METRICS, oracle_sentences, rouge
from kbert.tasks.options import SummarizationOptions, TaskOptions
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.explaining import SENTENCE, ExplainedPart, PartsExplainingTask, TokenPlaces
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, count
from kbert.tasks.protocol.soft_outputs import LABELS, SoftOutput
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import Ragged, TrainingRows, as_strings
from kbert.tasks.readers.summarization import SummarizationExample, read_summaries
from kbert.tasks.text_task import same_text
from kbert.text.graph.encoder import GraphEncoder

_DOCUMENTS_AT_ONCE = 64


class SummarizationTask(PartsExplainingTask, TrainableTask[SummarizationExample]):
    """A task that selects the sentences of a document that sum it up.

    The sentences of a document are encoded together, each as [CLS] sentence [SEP] with alternating segment ids, and
    scored by a logit on their [CLS] (BERTSUM, arXiv 1903.10318). A document that is too long is split into windows of
    whole sentences. A sentence is cut to a quarter of the sequence length.

    Args:
        sentences: The number of sentences in a summary.

    Raises:
        UsageError: `sentences` is less than 1.
    """

    name: ClassVar[str] = "summarization"
    architecture = "BertForTokenClassification"
    main_metric = "rougeL"
    losses = ("cross_entropy",)
    explained_as = "logit of the sentence"
    pooled: ClassVar[bool] = False
    windowed: ClassVar[bool] = True

    examples_noun: ClassVar[str] = "documents"
    saved_fields: ClassVar[Mapping[str, Kind]] = {"sentences": count}

    def __init__(self, sentences: int = 3) -> None:
        if sentences < 1:
            raise UsageError(f"sentences must be at least 1. Received: sentences={sentences}")
        self.sentences = sentences

    # === Reading ===

    @classmethod
    def has_own_format(cls, path: PathLike) -> bool:
        """Returns True, since any text file can be read as one document per line."""
        return True

    @classmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: SummarizationOptions, *, targets: bool, bad: BadRows
    ) -> Iterator[SummarizationExample]:
        """Yields the documents of a file; see kbert.tasks.readers.summarization."""
        return read_summaries(path, columns, form=options.table_format, targets=targets, bad=bad)

    @classmethod
    def from_examples(
        cls,
        examples: Sequence[SummarizationExample],
        path: PathLike,
        options: Mapping[str, Any] | TaskOptions | None = None,
    ) -> SummarizationTask:
        """Makes the task from the options alone; nothing depends on the examples."""
        return cls(cls.info().choose_options(options).sentences)

    def foreign_config(self) -> dict[str, Any]:
        """Returns the keys of config.json for a single logit at each token."""
        return label_names(["summary"])

    def check_example(self, example: SummarizationExample) -> SummarizationExample:
        """Returns the example with labels. If it has none, the best sentences by ROUGE (`oracle_sentences`) get 1."""
        if example.labels:
            return example
        best = oracle_sentences(example.sentences, example.references, self.sentences)
        labels = tuple(int(place in best) for place in range(len(example.sentences)))
        return dataclasses.replace(example, labels=labels)

    def group(self, example: SummarizationExample) -> str:
        """Returns the text, so that equal documents are not split between training and validation."""
        return same_text(" ".join(example.sentences))

    # === Texts to features ===

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The input `sentences`, the list of a document's sentences."""
        return (TextInput("sentences", "document", is_list=True),)

    def texts_of(self, examples: Sequence[SummarizationExample]) -> dict[str, list[Any]]:
        """Returns the sentences of each document."""
        return {"sentences": [list(example.sentences) for example in examples]}

    def encode(self, encode: GraphEncoder, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns windows of the documents, and the places of the N sentences in them.

        "windows", int64 [N], is the window of each sentence, and "positions", int64 [N], the position of its [CLS] in
        the window. "places", int64 [N, 2], is its place in "sentences", string [B, C].
        """
        joined = _join(encode, inputs["sentences"])
        return encode.features(joined.ids, joined.type_ids) | {
            "windows": joined.windows,
            "positions": joined.positions,
            "places": joined.places,
            "sentences": inputs["sentences"],
        }

    def training_rows(self, examples: Sequence[SummarizationExample], encode: GraphEncoder) -> TrainingRows:
        """Returns one row for each window, and the target "labels", float32 by token.

        The label is 0 or 1 at the [CLS] of a sentence, and -1 at other tokens.
        """
        specs = [text.spec for text in self.text_inputs]
        graph = tf.function(lambda texts: _join(encode, texts), input_signature=specs, autograph=False)
        parts: list[_Joined] = []
        labels = []
        for start in range(0, len(examples), _DOCUMENTS_AT_ONCE):
            part = examples[start : start + _DOCUMENTS_AT_ONCE]
            joined = graph(as_strings([example.sentences for example in part]))
            parts.append(joined)
            by_token = np.full(len(joined.ids.flat_values), -1.0, np.float32)
            tokens = joined.ids.row_starts().numpy()[joined.windows.numpy()] + joined.positions.numpy()
            by_token[tokens] = [part[row].labels[place] for row, place in joined.places.numpy()]
            labels.append(by_token)
        lengths = np.concatenate([part.ids.row_lengths().numpy() for part in parts])
        ids = np.concatenate([part.ids.flat_values.numpy() for part in parts])
        type_ids = np.concatenate([part.type_ids.flat_values.numpy() for part in parts])
        without = sum(not any(example.labels) for example in examples)
        note = (
            f"{without:,} of {len(examples):,} documents have no sentence with the label 1, or none that shares words "
            "with the summary: they cannot be learnt from"
        )
        return TrainingRows(
            Ragged(ids, lengths),
            Ragged(type_ids, lengths),
            {"labels": Ragged(np.concatenate(labels), lengths, padding=-1.0, by_token=True)},
            notes=(note,) if without else (),
        )

    def trivial_metrics(
        self, train: Sequence[SummarizationExample], validation: Sequence[SummarizationExample]
    ) -> tuple[str, dict[str, Any]]:
        """Returns the metrics of a model that always takes the first sentences of a document."""
        counts = np.array([min(self.sentences, len(example.sentences)) for example in validation])
        indices = np.tile(np.arange(self.sentences), (len(validation), 1))
        return "takes the first sentences", self.evaluate(validation, {"indices": indices, "count": counts})

    # === Model ===

    def build(self, encoder: BertEncoder) -> TokenClassificationModel:
        """Makes the encoder with one logit for each token."""
        return TokenClassificationModel(encoder, 1)

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over sentences."""
        labels, logits = batch["labels"], outputs["logits"][..., 0]
        each = tf.nn.sigmoid_cross_entropy_with_logits(tf.nn.relu(labels), logits)
        return {"cross_entropy": tf.reduce_sum(tf.where(labels >= 0, each, 0.0))}

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the number of sentences."""
        return {"cross_entropy": tf.reduce_sum(tf.cast(batch["labels"] >= 0, tf.float32))}

    @property
    def soft_outputs(self) -> Mapping[str, SoftOutput]:
        """See `TrainableTask.soft_outputs`."""
        return {"logits": SoftOutput(LABELS)}

    # === Answers ===

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the chosen sentences in the order of the document.

        `sentences` is string [B, K]; `indices`, their indices in the document, int32 [B, K]; `probabilities`, float32
        [B, K]; `count`, the number of chosen sentences, int32 [B].
        """
        sentences = encoded["sentences"]
        used = sentences != ""
        masked = _sentence_logits(outputs, encoded)
        total = tf.shape(sentences)[1]
        best = tf.math.top_k(masked, tf.minimum(self.sentences, total)).indices
        count = tf.minimum(tf.reduce_sum(tf.cast(used, tf.int32), -1), self.sentences)
        taken = tf.range(tf.shape(best)[1])[None] < count[:, None]
        indices = tf.sort(tf.where(taken, best, total))  # moves unused places to the end
        indices = tf.where(taken, indices, 0)
        return {
            "sentences": tf.where(taken, tf.gather(sentences, indices, batch_dims=1), ""),
            "indices": indices,
            "probabilities": tf.where(taken, tf.nn.sigmoid(tf.gather(masked, indices, batch_dims=1)), 0.0),
            "count": count,
        }

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the `probabilities` of the tokens, float32 [B, S]; those of [CLS] tokens are of sentences."""
        return {"probabilities": tf.nn.sigmoid(outputs["logits"][..., 0])}

    # === Explanations ===

    @property
    def caller_choices(self) -> Sequence[str]:
        """A sentence."""
        return (SENTENCE,)

    def explained_part(
        self, encode: GraphEncoder, encoded: Tensors, outputs: Tensors, chosen: Tensors
    ) -> ExplainedPart:
        """Returns the sentence with the largest logit, or the given sentence of each document."""
        logits = _sentence_logits(outputs, encoded)
        sentence = tf.where(chosen[SENTENCE] < 0, tf.argmax(logits, -1, tf.int32), chosen[SENTENCE])
        shape = tf.shape(encoded["sentences"], tf.int64)

        def of_sentence(values: tf.Tensor) -> tf.Tensor:
            by_place = tf.scatter_nd(encoded["places"], tf.cast(values, tf.int32), shape)
            return tf.gather(by_place, sentence, batch_dims=1)

        window = of_sentence(encoded["windows"])
        places = sentence_places(encode, encoded, _longest_sentence(encode))
        return ExplainedPart(
            {feature.name: tf.gather(encoded[feature.name], window) for feature in self.model_features},
            TokenPlaces(*(tf.gather(values, window) for values in places)),
            of_sentence(encoded["positions"]),
            {SENTENCE: sentence, "value": tf.gather(logits, sentence, batch_dims=1)},
        )

    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the logit of the sentence."""
        return tf.gather(outputs["logits"][..., 0], target, batch_dims=1)

    # === Answers for people ===

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"summary", "sentences", "indices", "probabilities"}."""
        count = int(row["count"])
        sentences = [sentence.decode("utf-8") for sentence in row["sentences"][:count]]
        return {
            "summary": " ".join(sentences),
            "sentences": sentences,
            "indices": row["indices"].tolist()[:count],
            "probabilities": row["probabilities"].tolist()[:count],
        }

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the summary as one line."""
        return " ".join(prediction["summary"].split())

    def evaluate(self, examples: Sequence[SummarizationExample], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns the mean F1 of ROUGE-1, -2, -L and -Lsum, each with the best reference, and the "precision".

        For ROUGE-Lsum, the sentences of a reference are its lines; a reference on one line is split into sentences.
        The precision is the part of the chosen sentences that has the label 1.
        """
        scores: dict[str, list[float]] = {name: [] for name in METRICS}
        right = chosen = 0
        for index, example in enumerate(examples):
            places = answers["indices"][index, : int(answers["count"][index])]
            references = [text if "\n" in text else "\n".join(split_sentences(text)) for text in example.references]
            summary = "\n".join(" ".join(example.sentences[place].split()) for place in places)
            for name, score in rouge(references, summary).items():
                scores[name].append(score.f1)
            chosen += len(places)
            right += sum(example.labels[place] for place in places)
        return {
            "examples": len(examples),
            **{name: float(np.mean(values)) if values else 0.0 for name, values in scores.items()},
            "precision": right / max(1, chosen),
        }

    @property
    def description(self) -> str:
        """What the model does, for a model card."""
        return f"summaries of {self.sentences} of a document's sentences"

    @property
    def sample_arguments(self) -> str:
        """Arguments of `kbert predict`, as an example in a model card."""
        return "'The first sentence of a document.' 'The second.' 'And so on.'"


def _sentence_logits(outputs: Tensors, encoded: Tensors) -> tf.Tensor:
    """Returns the logits of the sentences of each document, float32 [B, C]; `MASKED_LOGIT` in unused places."""
    sentences = encoded["sentences"]
    logits = tf.gather_nd(outputs["logits"][..., 0], tf.stack([encoded["windows"], encoded["positions"]], 1))
    by_place = tf.scatter_nd(encoded["places"], logits, tf.shape(sentences, tf.int64))
    return tf.where(sentences != "", by_place, MASKED_LOGIT)


def _longest_sentence(encode: GraphEncoder) -> int:
    """Returns the largest number of tokens of a sentence, with [CLS] and [SEP]."""
    return max(3, encode.sequence_length // 4)


class _Joined(NamedTuple):
    """The N sentences of documents, joined to W windows."""

    ids: tf.RaggedTensor
    """Token ids, int32 [W, None]."""
    type_ids: tf.RaggedTensor
    """Token type ids, 0 and 1 for alternate sentences, int32 [W, None]."""
    windows: tf.Tensor
    """The window of each sentence, int64 [N]."""
    positions: tf.Tensor
    """The position of the [CLS] of each sentence in its window, int64 [N]."""
    places: tf.Tensor
    """The document of each sentence and its index in the document, int64 [N, 2]."""


def _join(encode: GraphEncoder, sentences: tf.Tensor) -> _Joined:
    """Joins sentences, string [B, C], to windows.

    "" is an unused place, except for the first sentence of a document, which may be empty. A long document is divided
    into stretches that are shorter than a window by the length of the longest sentence. A window holds the sentences
    that begin in one stretch, so they always fit, and the graph needs no loop over sentences.
    """
    room, longest = encode.sequence_length, _longest_sentence(encode)
    first = tf.range(tf.shape(sentences)[1])[None] == 0
    places = tf.where((sentences != "") | first)
    ids, _ = encode.ragged(tf.gather_nd(sentences, places))
    separator = tf.fill([ids.nrows(), 1], encode.tokenizer.vocabulary.sep_id)
    ids = tf.concat([ids[:, :-1][:, : longest - 1], tf.cast(separator, ids.dtype)], 1)
    lengths, documents = ids.row_lengths(), places[:, 0]
    begins = tf.cumsum(lengths, exclusive=True)
    offsets = begins - tf.gather(tf.math.segment_min(begins, documents), documents)
    totals = tf.gather(tf.math.segment_sum(lengths, documents), documents)
    stretches = tf.where(totals <= room, tf.zeros_like(offsets), offsets // (room - longest))
    new = (documents[1:] != documents[:-1]) | (stretches[1:] != stretches[:-1])
    windows = tf.concat([[0], tf.cumsum(tf.cast(new, tf.int64))], 0)
    types = tf.repeat(tf.cast(places[:, 1] % 2, ids.dtype), lengths)
    window_lengths = tf.math.segment_sum(lengths, windows)
    return _Joined(
        ids=tf.RaggedTensor.from_row_lengths(ids.flat_values, window_lengths),
        type_ids=tf.RaggedTensor.from_row_lengths(types, window_lengths),
        windows=windows,
        positions=begins - tf.gather(tf.math.segment_min(begins, windows), windows),
        places=places,
    )

"""Extractive summarization: the sentences of a document that sum it up."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from kbert.errors import UsageError
from kbert.files import PathLike
from kbert.layers.heads import MASKED_LOGIT
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import TensorBindings, classifier_bindings
from kbert.models.token_classification import TokenClassificationModel
from kbert.sources.bad_rows import BadRows
from kbert.tasks.answering import TextInput
from kbert.tasks.labels import label_names
from kbert.tasks.metrics.rouge import METRICS, oracle_sentences, rouge
from kbert.tasks.objective import Tensors
from kbert.tasks.options import SummarizationOptions, TaskOptions
from kbert.tasks.readers.summarization import SummarizationExample, read_summaries
from kbert.tasks.saved_settings import Kind, count
from kbert.tasks.text_task import same_text
from kbert.tasks.trainable import TrainableTask
from kbert.tasks.training_rows import Ragged, TrainingRows, as_strings
from kbert.text.graph.encoder import GraphEncoder

_DOCUMENTS_AT_ONCE = 64


class SummarizationTask(TrainableTask[SummarizationExample]):
    """Which sentences of a document sum it up.

    Sentences are read together, each as [CLS] sentence [SEP] with segment ids that alternate, and judged by a
    logit on their [CLS] (BERTSUM, arXiv 1903.10318). A document that is too long is read in windows of whole sentences;
    a sentence is cut to a quarter of the sequence length.

    Args:
        sentences: Sentences a summary.

    Raises:
        UsageError: There are none.
    """

    name: ClassVar[str] = "summarization"
    architecture = "BertForTokenClassification"
    main_metric = "rougeL"
    losses = ("cross_entropy",)
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
        """Text files too: a document a line."""
        return True

    @classmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: SummarizationOptions, *, targets: bool, bad: BadRows
    ) -> Iterator[SummarizationExample]:
        """Documents; see kbert.tasks.readers.summarization."""
        return read_summaries(path, columns, form=options.table_format, targets=targets, bad=bad)

    @classmethod
    def from_examples(
        cls,
        examples: Sequence[SummarizationExample],
        path: PathLike,
        options: Mapping[str, Any] | TaskOptions | None = None,
    ) -> SummarizationTask:
        """The examples say nothing that the options do not."""
        return cls(cls.info().choose_options(options).sentences)

    def foreign_config(self) -> dict[str, Any]:
        """One logit a token, of which those of [CLS] matter."""
        return label_names(["summary"])

    def check_example(self, example: SummarizationExample) -> SummarizationExample:
        """Without labels, it gets those of the sentences that fit the references best (`oracle_sentences`)."""
        if example.labels:
            return example
        best = oracle_sentences(example.sentences, example.references, self.sentences)
        labels = tuple(int(place in best) for place in range(len(example.sentences)))
        return dataclasses.replace(example, labels=labels)

    def group(self, example: SummarizationExample) -> str:
        """Its text: what is equal is learnt, or measured."""
        return same_text(" ".join(example.sentences))

    # === Texts to features ===

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The sentences of a document."""
        return (TextInput("sentences", "document", is_list=True),)

    def texts_of(self, examples: Sequence[SummarizationExample]) -> dict[str, list[Any]]:
        """The sentences."""
        return {"sentences": [list(example.sentences) for example in examples]}

    def encode(self, encode: GraphEncoder, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Windows of documents, and where sentences are in them: "windows" and "positions", int64 [N]; "places", int64
        [N, 2], where they are in the "sentences", string [B, C].
        """  # noqa: D205 (one sentence)
        joined = _join(encode, inputs["sentences"])
        return encode.features(joined.ids, joined.type_ids) | {
            "windows": joined.windows,
            "positions": joined.positions,
            "places": joined.places,
            "sentences": inputs["sentences"],
        }

    def training_rows(self, examples: Sequence[SummarizationExample], encode: GraphEncoder) -> TrainingRows:
        """An item is a window; "labels", float32, by token: 0 or 1 at the [CLS] of a sentence, else -1."""
        graph = tf.function(lambda texts: _join(encode, texts), reduce_retracing=True)
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
        """The metrics of the first sentences of each document."""
        counts = np.array([min(self.sentences, len(example.sentences)) for example in validation])
        indices = np.tile(np.arange(self.sentences), (len(validation), 1))
        return "takes the first sentences", self.evaluate(validation, {"indices": indices, "count": counts})

    # === Model ===

    def build(self, encoder: BertEncoder) -> TokenClassificationModel:
        """The encoder with one logit a token."""
        return TokenClassificationModel(encoder, 1)

    def bindings(self, model: TokenClassificationModel) -> TensorBindings:
        """The encoder's, and Transformers' `classifier`."""
        return classifier_bindings(model)

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Sums over sentences."""
        labels, logits = batch["labels"], outputs["logits"][..., 0]
        each = tf.nn.sigmoid_cross_entropy_with_logits(tf.nn.relu(labels), logits)
        return {"cross_entropy": tf.reduce_sum(tf.where(labels >= 0, each, 0.0))}

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """How many sentences."""
        return {"cross_entropy": tf.reduce_sum(tf.cast(batch["labels"] >= 0, tf.float32))}

    # === Answers ===

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """The chosen sentences in the order of the document, string [B, K]; their places in it, int32 [B, K], and
        probabilities, float32 [B, K]; how many there are, int32 [B].
        """  # noqa: D205 (one sentence)
        sentences, places = encoded["sentences"], encoded["places"]
        logits = tf.gather_nd(outputs["logits"][..., 0], tf.stack([encoded["windows"], encoded["positions"]], 1))
        shape = tf.shape(sentences, tf.int64)
        used = sentences != ""
        masked = tf.where(used, tf.scatter_nd(places, logits, shape), MASKED_LOGIT)
        total = tf.shape(sentences)[1]
        best = tf.math.top_k(masked, tf.minimum(self.sentences, total)).indices
        count = tf.minimum(tf.reduce_sum(tf.cast(used, tf.int32), -1), self.sentences)
        taken = tf.range(tf.shape(best)[1])[None] < count[:, None]
        indices = tf.sort(tf.where(taken, best, total))  # what is not taken goes to the end
        indices = tf.where(taken, indices, 0)
        return {
            "sentences": tf.where(taken, tf.gather(sentences, indices, batch_dims=1), ""),
            "indices": indices,
            "probabilities": tf.where(taken, tf.nn.sigmoid(tf.gather(masked, indices, batch_dims=1)), 0.0),
            "count": count,
        }

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """The probability of each token, float32 [B, S]: those of [CLS] are of sentences."""
        return {"probabilities": tf.nn.sigmoid(outputs["logits"][..., 0])}

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """{"summary", "sentences", "indices", "probabilities"}."""
        count = int(row["count"])
        sentences = [sentence.decode("utf-8") for sentence in row["sentences"][:count]]
        return {
            "summary": " ".join(sentences),
            "sentences": sentences,
            "indices": row["indices"].tolist()[:count],
            "probabilities": row["probabilities"].tolist()[:count],
        }

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """The summary."""
        return " ".join(prediction["summary"].split())

    def evaluate(self, examples: Sequence[SummarizationExample], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The mean F1 of ROUGE-1, ROUGE-2 and ROUGE-L with the best fitting reference; "precision", the part of the
        chosen sentences that has the label 1.
        """  # noqa: D205 (one sentence)
        scores: dict[str, list[float]] = {name: [] for name in METRICS}
        right = chosen = 0
        for index, example in enumerate(examples):
            places = answers["indices"][index, : int(answers["count"][index])]
            for name, score in rouge(
                example.references, " ".join(example.sentences[place] for place in places)
            ).items():
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
        """What it does, for a model card."""
        return f"summaries of {self.sentences} of a document's sentences"

    @property
    def sample_arguments(self) -> str:
        """The arguments of a `kbert predict` for a model card."""
        return "'The first sentence of a document.' 'The second.' 'And so on.'"


class _Joined(NamedTuple):
    """Sentences of documents, joined to windows; W windows, N sentences."""

    ids: tf.RaggedTensor
    """Token ids, int32 [W, None]."""
    type_ids: tf.RaggedTensor
    """0 and 1 in turn, int32 [W, None]."""
    windows: tf.Tensor
    """The window of each sentence, int64 [N]."""
    positions: tf.Tensor
    """Where in the window its [CLS] is, int64 [N]."""
    places: tf.Tensor
    """Its document and its place in that, int64 [N, 2]."""


def _join(encode: GraphEncoder, sentences: tf.Tensor) -> _Joined:
    """Joins sentences, string [B, C]; "" is unused, but the first of a document, which may be empty.

    A window of a long document has the sentences that begin in a stretch of it: as no sentence is longer than
    what a window has beyond such a stretch, all fit, and none needs to know of those before.
    """
    room = encode.sequence_length
    longest = max(3, room // 4)
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

"""Ranking of candidates for a query by a cross-encoder: re-ranking, and response selection in dialogues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert.files import PathLike
from kbert.layers.heads import MASKED_LOGIT
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.cross_encoder import activation_name, known_activation, named_activation
from kbert.models.encoder import BertEncoder
from kbert.models.ranking import RankingModel
from kbert.sources.bad_rows import BadRows
from kbert.tasks.labels import label_names
from kbert.tasks.metrics.ranking import in_order, ranking_metrics
from kbert.tasks.options import RankingOptions, TaskOptions
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.explaining import ExplainableTask
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, count_or_none, flag, string
from kbert.tasks.protocol.soft_outputs import CANDIDATES, SoftOutput
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import Ragged, TrainingRows, encode_texts
from kbert.tasks.readers.ranking import RankingExample, read_candidates
from kbert.tasks.text_task import same_text
from kbert.text.graph.encoder import GraphEncoder

LOSSES = ("softmax", "sigmoid")
ACTIVATIONS = ("identity", "sigmoid")


class RankingTask(ExplainableTask, TrainableTask[RankingExample]):
    """A task that scores the candidates for a query.

    A query and a candidate are encoded together, as a pair. A query that is too long is cut at its end; the turns of a
    dialogue are cut at their start, so that the last turns remain.

    Args:
        loss: "softmax" over the candidates of a query, or "sigmoid" for each candidate by itself.
        dialogue: Whether queries are turns of a dialogue.
        negatives: The number of wrong candidates for each query in training; None for all.
        activation: The function from a logit to a score: "identity", or "sigmoid" for some cross-encoders of other
            libraries.

    Raises:
        ValueError: `loss` or `activation` is invalid.
    """

    name: ClassVar[str] = "ranking"
    architecture = "BertForSequenceClassification"
    pooled_only: ClassVar[bool] = True
    main_metric = "mrr"
    losses = ("ranking_loss",)
    explained_as = "logit of the candidate"
    explained_choice = "best"
    windowed: ClassVar[bool] = True
    examples_noun: ClassVar[str] = "queries with candidates"
    saved_fields: ClassVar[Mapping[str, Kind]] = {
        "loss": string,
        "dialogue": flag,
        "negatives": count_or_none,
        "activation": string,
    }
    optional_fields = ("negatives", "activation")

    def __init__(
        self,
        loss: str = "softmax",
        dialogue: bool = False,
        negatives: int | None = None,
        activation: str = "identity",
    ) -> None:
        if loss not in LOSSES or activation not in ACTIVATIONS:
            raise ValueError(f"no such loss or activation: {loss!r}, {activation!r}")
        self.loss = loss
        self.dialogue = dialogue
        self.negatives = negatives
        self.activation = activation

    # === Reading ===

    @classmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: RankingOptions, *, targets: bool, bad: BadRows
    ) -> list[RankingExample]:
        """Reads queries with their candidates; see kbert.tasks.readers.ranking."""
        return read_candidates(path, columns, options, targets, bad)

    @classmethod
    def from_examples(
        cls, examples: Sequence[RankingExample], path: PathLike, options: Mapping[str, Any] | TaskOptions | None = None
    ) -> RankingTask:
        """Makes the task; the examples determine whether queries are turns of dialogues."""
        chosen: RankingOptions = cls.info().choose_options(options)
        return cls(chosen.loss, any(example.turns for example in examples), chosen.negatives)

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> RankingTask | None:
        """Returns the task of a cross-encoder, a classifier with one logit; None for other models.

        kbert.tasks.factories.is_cross_encoder distinguishes cross-encoders from regressions.
        """
        if bundle.architecture != cls.architecture or len(bundle.labels) != 1:
            return None
        _, activation = named_activation(bundle.foreign_config, bundle.modules)
        return cls("sigmoid", activation=known_activation(activation))

    def foreign_config(self) -> dict[str, Any]:
        """Returns the keys of config.json for one logit, and for sentence-transformers' CrossEncoder its activation."""
        return {**label_names(["score"]), "sentence_transformers": {"activation_fn": activation_name(self.activation)}}

    def check_example(self, example: RankingExample) -> RankingExample:
        """Returns the example; the softmax loss requires at least one right and one wrong candidate."""
        right, total = sum(gain > 0 for gain in example.gains), len(example.candidates)
        if self.loss == "softmax" and not 0 < right < total:
            way = "; take more of them (--candidates)" if right == total > 1 else ""
            query = f"{example.query!r:.60}"
            raise ValueError(
                f"expected a right and a wrong candidate for {query}. Received {right} right of {total}{way}"
            )
        return example

    def group(self, example: RankingExample) -> tuple[int, str]:
        """Returns the number of the dialogue, or else the query.

        The later queries of a dialogue contain the right responses to the earlier ones, so they stay together.
        """
        return (example.dialogue, "") if example.dialogue else (0, same_text(example.query))

    def same_texts(self, example: RankingExample) -> tuple[str, ...]:
        """Returns the query and its right candidates. Wrong candidates may be drawn at random."""
        right = (text for text, gain in zip(example.candidates, example.gains, strict=True) if gain > 0)
        return same_text(example.query), *sorted(map(same_text, right))

    def mixed_rows(self, examples: Sequence[RankingExample]) -> str:
        """See `TrainableTask.mixed_rows`: drawn candidates are texts of other rows of the file."""
        if not any(example.is_drawn for example in examples):
            return ""
        return "wrong candidates that are drawn from other rows; give a file with the wrong candidates of each query"

    # === Texts to features ===

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The inputs `query`, and `candidates`, a list of texts for each query."""
        return TextInput("query", "query"), TextInput("candidates", "candidates", is_list=True)

    def texts_of(self, examples: Sequence[RankingExample]) -> dict[str, list[Any]]:
        """Returns the queries and the candidates."""
        return {
            "query": [example.query for example in examples],
            "candidates": [list(example.candidates) for example in examples],
        }

    @property
    def keeps_end(self) -> bool:
        """Whether queries are turns of a dialogue, whose last ones matter most."""
        return self.dialogue

    def encode(self, encode: GraphEncoder, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns the features with one row for each candidate, R rows in all.

        "candidates", string [B, C], are the candidates, and "places", int64 [R, 2], are the places of the rows in them.
        """
        candidates = inputs["candidates"]
        # Each query has at least one row, so that the model never runs on an empty batch.
        first = tf.range(tf.shape(candidates)[1])[None] == 0
        places = tf.where((candidates != "") | first)
        texts = tf.gather(inputs["query"], places[:, 0]), tf.gather_nd(candidates, places)
        tokens = encode.ragged(*texts, keep_end=self.dialogue)
        return encode.features(*tokens) | {"candidates": candidates, "places": places}

    def training_rows(self, examples: Sequence[RankingExample], encode: GraphEncoder) -> TrainingRows:
        """Returns one item for each query, with one row for each candidate.

        The target "gains" is ragged float32, padded with -1.
        """
        groups = [self._training_candidates(example) for example in examples]
        ids, type_ids = encode_texts(
            encode,
            [example.query for example, group in zip(examples, groups, strict=True) for _ in group],
            [candidate for group in groups for candidate, _ in group],
            keep_end=self.dialogue,
        )
        gains = Ragged.of([[gain for _, gain in group] for group in groups], np.float32, padding=-1.0)
        return TrainingRows(ids, type_ids, {"gains": gains}, gains.lengths)

    def items_of_rows(self, encoded: Tensors) -> tf.Tensor:
        """Returns the query of each row; see `TrainableTask.items_of_rows`."""
        return encoded["places"][:, 0]

    def _training_candidates(self, example: RankingExample) -> list[tuple[str, float]]:
        pairs = list(zip(example.candidates, example.gains, strict=True))
        wrong = [pair for pair in pairs if not pair[1]]
        return [pair for pair in pairs if pair[1]] + wrong[: self.negatives]

    # === Model ===

    def build(self, encoder: BertEncoder) -> RankingModel:
        """Makes the encoder with one logit for each pair."""
        return RankingModel(encoder)

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over queries, or for the loss "sigmoid" over candidates.

        "accuracy" counts the queries whose best candidate is right.
        """
        gains, logits = batch["gains"], outputs["logits"]
        there = gains >= 0
        masked = tf.where(there, logits, MASKED_LOGIT)
        best = tf.gather(gains, tf.argmax(masked, -1), batch_dims=1)
        right = tf.reduce_sum(tf.cast(best > 0, tf.float32))
        if self.loss == "sigmoid":
            each = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(gains > 0, tf.float32), logits)
            return {"ranking_loss": tf.reduce_sum(tf.where(there, each, 0.0)), "accuracy": right}
        wanted = tf.nn.relu(gains)
        wanted = tf.math.divide_no_nan(wanted, tf.reduce_sum(wanted, -1, keepdims=True))
        nll = tf.nn.softmax_cross_entropy_with_logits(wanted, masked)
        return {"ranking_loss": tf.reduce_sum(nll), "accuracy": right}

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the number of queries, or for the loss "sigmoid" the number of candidates."""
        queries = tf.cast(tf.shape(batch["gains"])[0], tf.float32)
        candidates = tf.reduce_sum(tf.cast(batch["gains"] >= 0, tf.float32))
        return {"ranking_loss": candidates if self.loss == "sigmoid" else queries, "accuracy": queries}

    @property
    def soft_outputs(self) -> Mapping[str, SoftOutput]:
        """See `TrainableTask.soft_outputs`."""
        return {"logits": SoftOutput(CANDIDATES)}

    def explained_target(self, outputs: Tensors) -> tf.Tensor:
        """Returns zeros, since a pair has a single number."""
        return tf.zeros_like(outputs["logits"], tf.int32)

    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the logit of each pair."""
        return outputs["logits"]

    # === Answers ===

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the best candidate and the scores of all candidates.

        `best` is string [B]; `order`, the indices of the candidates, best first, int32 [B, C]; `count`, the number of
        candidates, int32 [B]. `scores` (logits after the activation) and `probabilities`, float32 [B, C], are in the
        order of the request, and 0 in unused places.
        """
        candidates = encoded["candidates"]
        logits = tf.scatter_nd(encoded["places"], outputs["logits"], tf.shape(candidates, tf.int64))
        there = candidates != ""
        masked = tf.where(there, logits, MASKED_LOGIT)
        order = tf.argsort(masked, direction="DESCENDING", stable=True)
        probabilities = tf.nn.softmax(masked) if self.loss == "softmax" else tf.nn.sigmoid(logits)
        scores = self._scores(logits)
        return {
            "best": tf.gather(candidates, order[:, 0], batch_dims=1),
            "order": order,
            "count": tf.reduce_sum(tf.cast(there, tf.int32), -1),
            "scores": tf.where(there, scores, 0.0),
            "probabilities": tf.where(there, probabilities, 0.0),
        }

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the `score` of each pair, float32 [B]."""
        return {"score": self._scores(outputs["logits"])}

    def _scores(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.nn.sigmoid(logits) if self.activation == "sigmoid" else logits

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"best", "order", "scores", "probabilities"}. Empty candidates are not in "order", and score 0."""
        order = row["order"].tolist()[: int(row["count"])]
        places = max(order, default=-1) + 1
        return {
            "best": row["best"].decode("utf-8"),
            "order": order,
            "scores": row["scores"].tolist()[:places],
            "probabilities": row["probabilities"].tolist()[:places],
        }

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the best candidate, its probability and the query."""
        order, probabilities = prediction["order"], prediction["probabilities"]
        best = f"{probabilities[order[0]]:.4f}" if order else ""
        return "\t".join(" ".join(text.split()) for text in (prediction["best"], best, prediction["query"]))

    def evaluate(self, examples: Sequence[RankingExample], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns the metrics of ranking: "mrr", "recall@1", "recall@5", "recall@10", "ndcg@10"."""
        ranked = []
        for example, scores in zip(examples, answers["scores"], strict=True):
            gains = np.array(example.gains)
            ranked.append((in_order(scores[: len(gains)], gains), gains))
        sizes = [len(example.candidates) for example in examples]
        return {
            "examples": len(examples),
            "candidates_per_query": float(np.mean(sizes)) if sizes else 0.0,
            **ranking_metrics(ranked),
        }

    @property
    def description(self) -> str:
        """What the model does, for a model card."""
        return f"ranking of candidates for {'the turns of a dialogue' if self.dialogue else 'a query'}"

    @property
    def sample_arguments(self) -> str:
        """Arguments of `kbert predict`, as an example in a model card."""
        return "'A query' --pair 'a candidate' --pair 'another'"

"""Vectors of texts: near each other for texts of like meaning."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.models.embedding import POOLINGS, EmbeddingModel
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import Slots, encoder_slots
from kbert.tasks.bad_rows import BadRows
from kbert.tasks.judged_texts import read_judged
from kbert.tasks.ranking_metrics import in_order, ranking_metrics
from kbert.tasks.rows import Ragged, TrainingRows, encode_texts
from kbert.tasks.saved_settings import Kind, number, numbers, string
from kbert.tasks.table_format import TableFormat
from kbert.tasks.tables import Row, read_table
from kbert.tasks.task import Task, Tensors, TextInput
from kbert.text.graph_encoder import GraphEncoder

OBJECTIVES = ("pairs", "triplets", "scores", "unsupervised")
_IMPOSSIBLE = -1e9


@dataclasses.dataclass(frozen=True)
class EmbeddingExample:
    """A text, and what is known of its meaning.

    Args:
        text: The text, or the query.
        pair: A text of like meaning, or that answers the query; or any text, with a score.
        negative: A text that is no such pair.
        score: How alike text and pair are, as the file has it.
        line: The 1-based line it came from; 0 for none.
    """

    text: str
    pair: str | None = None
    negative: str | None = None
    score: float | None = None
    line: int = 0


class EmbeddingTask(Task[EmbeddingExample]):
    """A vector of length 1 for a text, so that a dot product is the cosine.

    Objectives: "pairs" finds each text's pair among all pairs and negatives of the batch (softmax over cosines divided
    by a temperature, arXiv 1705.00652); what the training file pairs with the same text is not held against it.
    "triplets" wants cosine(text, pair) above cosine(text, negative) by a margin. "scores" brings cosines to scores,
    scaled to [0, 1] (squared error, arXiv 1908.10084). "unsupervised" gives a text twice, with dropout of its own each
    time, and finds it again among the others (SimCSE, arXiv 2104.08821).

    Args:
        objective: One of these.
        pooling: "mean" or "cls".
        temperature: Of "pairs" and "unsupervised".
        margin: Of "triplets".
        score_range: The least and the largest score of training, for "scores".
    """

    name: ClassVar[str] = "embedding"
    architecture = "BertModel"
    main_metric = "mrr"
    pooled: ClassVar[bool] = False
    rows: ClassVar[str] = "texts"
    saved: ClassVar[Mapping[str, Kind]] = {
        "objective": string,
        "pooling": string,
        "temperature": number,
        "margin": number,
        "score_range": numbers,
    }

    def __init__(
        self,
        objective: str = "pairs",
        pooling: str = "mean",
        temperature: float = 0.05,
        margin: float = 0.2,
        score_range: Sequence[float] = (0.0, 1.0),
    ) -> None:
        if objective not in OBJECTIVES or pooling not in POOLINGS:
            raise ValueError(f"no such objective or pooling: {objective!r}, {pooling!r}")
        self.objective = objective
        self.losses = ({"triplets": "triplet_loss", "scores": "squared_error"}.get(objective, "contrastive_loss"),)
        self.pooling = pooling
        self.temperature = temperature
        self.margin = margin
        self.score_range = low, high = [*score_range]
        if not low < high:
            raise ValueError(f"score_range must be two numbers, the smaller one first. Received: {self.score_range}")
        self.whole_batches = objective in ("pairs", "unsupervised")

    # === Reading ===

    @classmethod
    def read_examples(
        cls, path: PathLike, columns: Mapping[str, str], options: Mapping[str, Any], *, targets: bool, bad: BadRows
    ) -> Iterator[EmbeddingExample]:
        """The rows of a table, a text a line, or, with the option `documents`, judgements of them."""
        form = TableFormat.from_options(options)
        if options.get("documents") or options.get("queries"):
            judged, _ = read_judged(path, options.get("documents"), options.get("queries"), bad)
            for query, documents in judged:
                for document, gain in documents:
                    if gain > 0:
                        yield EmbeddingExample(query.text, document.text, line=query.line)
        elif not form.is_table(path):
            for number, text in form.numbered_lines(path, bad):
                if text.strip():
                    yield EmbeddingExample(text, line=number)
        else:
            for role in ("negative", "score"):
                if role in columns and "pair" not in columns:
                    raise UsageError(f"a {role} needs the text it goes with: name the column of pairs (pair_column)")
            for row in read_table(path, columns, form=form, bad=bad):
                try:
                    yield _example(row, path)
                except DataError as problem:
                    bad.skip(problem)

    @classmethod
    def from_examples(
        cls, examples: Sequence[EmbeddingExample], path: PathLike, options: Mapping[str, Any] | None = None
    ) -> EmbeddingTask:
        """Takes the objective that the examples allow, unless one is asked for."""
        options = cls.info().choose_options(options or {})
        scores = [example.score for example in examples if example.score is not None]
        allowed = "scores" if scores else "unsupervised" if examples[0].pair is None else "pairs"
        objective = options["objective"] or allowed
        if objective == "pairs" and scores:
            raise UsageError("the objective pairs takes every pair for a good one; leave out the column of scores")
        if not options["temperature"] > 0 or not options["margin"] > 0:
            raise UsageError(
                f"temperature and margin must be above 0. Received: temperature={options['temperature']}, "
                f"margin={options['margin']}"
            )
        task = cls(objective, options["pooling"], options["temperature"], options["margin"])
        if objective == "scores":
            if scores and min(scores) == max(scores):
                raise DataError(f"expected scores that differ. Received {scores[0]:g} alone", path)
            task.score_range = [min(scores, default=0.0), max(scores, default=1.0)]
        return task

    def checked(
        self, examples: Sequence[EmbeddingExample], path: PathLike, bad: BadRows | None = None
    ) -> list[EmbeddingExample]:
        """The examples, which must have what the objective needs."""
        first = examples[0] if examples else EmbeddingExample("", "", "", 0.0)
        needed = {"pairs": ["pair"], "triplets": ["pair", "negative"], "scores": ["pair", "score"]}
        for role in needed.get(self.objective, []):
            if getattr(first, role) is None:
                raise DataError(f"the objective {self.objective} needs a {role} for each text ({role}_column)", path)
        return list(examples)

    def group(self, example: EmbeddingExample) -> str:
        """Its text: what goes with a query is learnt, or measured."""
        return example.text

    def validated_by(self, examples: Sequence[EmbeddingExample], path: PathLike) -> EmbeddingTask:
        """Spearman's correlation decides where there are scores, else the reciprocal rank of pairs."""
        if not examples or examples[0].pair is None:
            raise DataError("validation needs pairs of texts, with scores or without: a table with a pair_column", path)
        task = copy.copy(self)
        task.main_metric = "mrr" if examples[0].score is None else "spearman"
        return task

    # === Texts to features ===

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """One text."""
        return (TextInput("text", "text"),)

    def inputs(self, examples: Sequence[EmbeddingExample]) -> dict[str, list[Any]]:
        """The texts; with pairs each text and pair once, in the order they come."""
        if not examples or examples[0].pair is None:
            return {"text": [example.text for example in examples]}
        return {"text": list(_places(examples))}

    def training_rows(self, examples: Sequence[EmbeddingExample], encode: GraphEncoder) -> TrainingRows:
        """An item is a text with its pair, and maybe a negative; of "unsupervised" the same text twice.

        Targets of "pairs" and "unsupervised": "candidates", int32 [items, C - 1], numbers of the other texts;
        "positives", ragged int32, the numbers of all that go with the text. Of "scores": "scores", float32 [items].
        """
        if self.objective == "unsupervised":
            texts = dict.fromkeys(text for e in examples for text in (e.text, e.pair) if text is not None)
            groups: list[tuple[str, ...]] = [(text, text) for text in texts]
        elif self.objective == "scores" or examples[0].negative is None:
            groups = [(example.text, example.pair or "") for example in examples]
        else:
            groups = [(example.text, example.pair or "", example.negative or "") for example in examples]
        ids, type_ids = encode_texts(encode, [text for group in groups for text in group])
        sizes = np.array([len(group) for group in groups], np.int64)
        return TrainingRows(ids, type_ids, self._targets(examples, groups), sizes)

    def validation_rows(self, examples: Sequence[EmbeddingExample], encode: GraphEncoder) -> TrainingRows | None:
        """None where validation lacks the columns that training learns from, or has scores where that takes pairs."""
        first = examples[0]
        measurable = {
            "pairs": first.pair is not None and first.score is None,
            "triplets": first.pair is not None and first.negative is not None,
            "scores": first.score is not None,
        }
        return self.training_rows(examples, encode) if measurable.get(self.objective, True) else None

    def _targets(
        self, examples: Sequence[EmbeddingExample], groups: Sequence[tuple[str, ...]]
    ) -> dict[str, np.ndarray | Ragged]:
        if self.objective == "scores":
            low, high = self.score_range
            return {"scores": np.array([((e.score or 0.0) - low) / (high - low) for e in examples], np.float32)}
        if self.objective == "triplets":
            return {}
        numbers: dict[str, int] = {}
        for group in groups:
            for text in group[1:]:
                numbers.setdefault(text, len(numbers))
        positives: dict[str, dict[int, None]] = {}
        for text, pair, *_ in groups:
            positives.setdefault(text, {})[numbers[pair]] = None
        for text in positives.keys() & numbers.keys():  # a text is no wrong answer to itself
            positives[text][numbers[text]] = None
        return {
            "candidates": np.array([[numbers[text] for text in group[1:]] for group in groups], np.int32),
            "positives": Ragged.of([list(positives[group[0]]) for group in groups], np.int32, padding=-1),
        }

    # === Model ===

    def build(self, encoder: BertEncoder) -> EmbeddingModel:
        """The encoder, pooled."""
        return EmbeddingModel(encoder, self.pooling)

    def slots(self, model: EmbeddingModel) -> Slots:
        """The encoder's."""
        return encoder_slots(model.encoder)

    def numerators(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Sums over texts; "accuracy" is how many find their pair first, in the batch or before their negative."""
        vectors = outputs["vector"]  # [B, C, H]
        texts, others = vectors[:, 0], vectors[:, 1:]
        (loss,) = self.losses
        if self.objective == "scores":
            cosines = tf.reduce_sum(texts * others[:, 0], -1)
            return {loss: tf.reduce_sum(tf.square(cosines - batch["scores"]))}
        if self.objective == "triplets":
            cosines = tf.einsum("bh,bch->bc", texts, others)
            short = cosines[:, 1] - cosines[:, 0]
            right = tf.cast(short < 0, tf.float32)
            return {loss: tf.reduce_sum(tf.nn.relu(short + self.margin)), "accuracy": tf.reduce_sum(right)}
        shape = tf.shape(others)
        candidates = tf.reshape(others, [-1, shape[2]])
        logits = tf.matmul(texts, candidates, transpose_b=True) / self.temperature  # [B, B * (C - 1)]
        targets = tf.range(shape[0]) * shape[1]
        numbers = tf.reshape(batch["candidates"], [1, -1, 1])
        also_right = tf.reduce_any(numbers == batch["positives"][:, None, :], -1)
        own = tf.one_hot(targets, shape[0] * shape[1], True, False, dtype=tf.bool)
        logits = tf.where(also_right & ~own, _IMPOSSIBLE, logits)
        nll = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        right = tf.cast(tf.argmax(logits, -1, tf.int32) == targets, tf.float32)
        return {loss: tf.reduce_sum(nll), "accuracy": tf.reduce_sum(right)}

    def denominators(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """How many texts."""
        count = tf.cast(tf.shape(batch[features.INPUT_WORD_IDS.name])[0], tf.float32)
        names = (*self.losses, *(() if self.objective == "scores" else ("accuracy",)))
        return dict.fromkeys(names, count)

    # === Answers ===

    def answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """The vector of each text, float32 [B, H], of length 1."""
        return {"vector": outputs["vector"]}

    def token_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """The same."""
        return {"vector": outputs["vector"]}

    def answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """{"vector": [numbers]}."""
        return {"vector": row["vector"].tolist()}

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """The text, and its vector with spaces between the numbers."""
        return "\t".join([prediction["text"], " ".join(f"{value:.6f}" for value in prediction["vector"])])

    def evaluate(self, examples: Sequence[EmbeddingExample], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """With scores Spearman's and Pearson's correlation with cosines; else how well each text finds its pairs among
        the second texts of all examples, but for itself: "mrr", "recall@1", "recall@5", "recall@10", "ndcg@10".
        """  # noqa: D205 (one sentence)
        if not examples or examples[0].pair is None:
            raise DataError("expected pairs of texts to measure; name their column: pair")
        vectors = answers["vector"].astype(np.float32)
        places = _places(examples)
        texts = np.array([places[example.text] for example in examples])
        pairs = np.array([places[example.pair or ""] for example in examples])
        if examples[0].score is not None:
            cosines = (vectors[texts] * vectors[pairs]).sum(-1)
            scores = np.array([example.score for example in examples])
            return {
                "examples": len(examples),
                "spearman": _spearman(cosines, scores),
                "pearson": _pearson(cosines, scores),
            }
        candidates, columns = np.unique(pairs, return_inverse=True)
        ranked = []
        for text in np.unique(texts):
            gains = np.zeros(len(candidates))
            gains[columns[texts == text]] = 1.0
            others = (candidates != text) | (gains > 0)  # a text is no wrong answer to itself
            ranked.append((in_order(vectors[candidates[others]] @ vectors[text], gains[others]), gains))
        return {
            "examples": len(examples),
            "queries": len(ranked),
            "candidates": len(candidates),
            **ranking_metrics(ranked),
        }

    @property
    def description(self) -> str:
        """What it does, for a model card."""
        return f"vectors of texts ({self.pooling} pooling, of length 1), trained with the objective {self.objective}"


def _example(row: Row, path: PathLike) -> EmbeddingExample:
    values = row.values
    for role in ("text", "pair", "negative"):
        if role in values and not values[role].strip():
            raise DataError(f"expected a {role}. Received an empty one", path, row.line)
    score = None
    if "score" in values:
        try:
            score = float(values["score"])
        except ValueError:
            score = math.nan
        if not math.isfinite(score):
            raise DataError(f"expected a number as score. Received {values['score']!r}", path, row.line)
    return EmbeddingExample(values["text"], values.get("pair"), values.get("negative"), score, row.line)


def _places(examples: Sequence[EmbeddingExample]) -> dict[str, int]:
    """Each text and pair once, with its place."""
    texts = dict.fromkeys(text for example in examples for text in (example.text, example.pair or ""))
    return {text: place for place, text in enumerate(texts)}


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    first, second = (values.astype(np.float64) - values.mean(dtype=np.float64) for values in (first, second))
    scale = math.sqrt(float((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / scale) if scale else 0.0


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    return _pearson(_ranks(first), _ranks(second))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks; equal values have the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]

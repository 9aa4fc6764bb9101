"""Embedding: vectors of texts, which are near each other for texts of similar meaning."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.sentence_transformers import EMBEDDER, POOLINGS, SentenceModules
from kbert.models.embedding import EmbeddingModel
from kbert.models.encoder import BertEncoder
from kbert.sources.bad_rows import BadRows
from kbert.tasks.embedding_objectives import (
    EmbeddingObjective,
    PairsObjective,
    ScoresObjective,
    TripletsObjective,
    UnsupervisedObjective,
)
from kbert.tasks.embedding_start import starting_task
from kbert.tasks.metrics.embedding import pair_metrics, score_metrics
from kbert.tasks.metrics.vectors import of_length_1
from kbert.tasks.options import EmbeddingOptions, TaskOptions
from kbert.tasks.prompts import Prompts
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.explaining import ExplainableTask
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, flag, named_strings, number, numbers, string
from kbert.tasks.protocol.soft_outputs import VECTORS, SoftOutput
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import TrainingRows, encode_texts
from kbert.tasks.readers.embedding import EmbeddingExample, read_embedding_examples
from kbert.tasks.text_task import same_text
from kbert.text.graph.encoder import GraphEncoder

OBJECTIVES: Mapping[str, type[EmbeddingObjective]] = {
    "pairs": PairsObjective,
    "triplets": TripletsObjective,
    "scores": ScoresObjective,
    "unsupervised": UnsupervisedObjective,
}


class EmbeddingTask(Prompts, ExplainableTask, TrainableTask[EmbeddingExample]):
    """A task that returns a vector for each text.

    Vectors have the length 1, so that a dot product is the cosine, unless the files of the model say otherwise. A
    prompt such as "query: " may be put before each text; the served graph adds it, too.

    Args:
        objective: The training objective, one of OBJECTIVES; kbert.tasks.embedding_objectives describes them.
        pooling: How the vectors of tokens are combined: "mean", "cls" or "max".
        temperature: The temperature of the softmax in "pairs" and "unsupervised".
        margin: The margin of "triplets", as a cosine.
        score_range: The smallest and the largest training score, for "scores".
        normalize: Whether vectors have the length 1.
        prompts: The prompts of the model, by name.
        prompt: The text that is put before each text.
        pair_prompt: The text that is put before pairs and negatives in files; None is the same as `prompt`.
        similarity: How the model's vectors are compared in a search: "cosine" or "dot".
        include_prompt: Whether the pooling includes the tokens of a prompt. If not, kbert accepts only an empty prompt.

    Raises:
        ValueError: `objective`, `pooling` or `score_range` is invalid.
    """

    name: ClassVar[str] = "embedding"
    not_separable = "its loss compares texts of different rows, or scales scores by those of all rows"
    architecture = "BertModel"
    main_metric = "mrr"
    pooled: ClassVar[bool] = False
    explained_as = "cosine of the texts"
    compares_vectors = True
    examples_noun: ClassVar[str] = "texts"
    saved_fields: ClassVar[Mapping[str, Kind]] = {
        "objective": string,
        "pooling": string,
        "temperature": number,
        "margin": number,
        "score_range": numbers,
        "normalize": flag,
        "prompts": named_strings,
        "prompt": string,
        "pair_prompt": string,
        "similarity": string,
        "include_prompt": flag,
    }
    optional_fields = ("normalize", "prompts", "prompt", "pair_prompt", "similarity", "include_prompt")

    def __init__(
        self,
        objective: str = "pairs",
        pooling: str = "mean",
        temperature: float = 0.05,
        margin: float = 0.2,
        score_range: Sequence[float] = (0.0, 1.0),
        normalize: bool = True,
        prompts: Mapping[str, str] | None = None,
        prompt: str = "",
        pair_prompt: str | None = None,
        similarity: str = "cosine",
        include_prompt: bool = True,
    ) -> None:
        if objective not in OBJECTIVES or pooling not in POOLINGS:
            raise ValueError(f"no such objective or pooling: {objective!r}, {pooling!r}")
        self.objective = objective
        self.losses = (OBJECTIVES[objective].loss,)
        self.pooling = pooling
        self.temperature = temperature
        self.margin = margin
        self.score_range = low, high = [*score_range]
        if not low < high:
            raise ValueError(f"score_range must be two numbers, the smaller one first. Received: {self.score_range}")
        self.needs_whole_batch = OBJECTIVES[objective].needs_whole_batch
        self.normalize = normalize
        self.prompts = dict(prompts or {})
        self.prompt = prompt
        self.pair_prompt = prompt if pair_prompt is None else pair_prompt
        self.similarity = similarity
        self.include_prompt = include_prompt
        self._told: set[str] = set()

    # === Reading ===

    @classmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: EmbeddingOptions, *, targets: bool, bad: BadRows
    ) -> Iterator[EmbeddingExample]:
        """Yields the rows of a table, the lines of a text file, or (with the option `documents`) judgements."""
        return read_embedding_examples(path, columns, options, bad)

    @classmethod
    def from_examples(
        cls,
        examples: Sequence[EmbeddingExample],
        path: PathLike,
        options: Mapping[str, Any] | TaskOptions | None = None,
    ) -> EmbeddingTask:
        """Makes the task. Without the option `objective`, the columns of the examples determine it."""
        chosen: EmbeddingOptions = cls.info().choose_options(options)
        scores = [example.score for example in examples if example.score is not None]
        allowed = "scores" if scores else "unsupervised" if examples[0].pair is None else "pairs"
        objective = chosen.objective or allowed
        if objective == "pairs" and scores:
            raise UsageError("the objective pairs treats every pair as similar; leave out the column of scores")
        task = cls(
            objective,
            chosen.pooling or "mean",
            chosen.temperature,
            chosen.margin,
            prompt=chosen.prompt or "",
            pair_prompt=chosen.pair_prompt,
        )
        task._told = {name for name in ("pooling", "prompt", "pair_prompt") if getattr(chosen, name) is not None}
        if objective == "scores":
            if scores and min(scores) == max(scores):
                raise DataError(f"expected scores that differ. Received {scores[0]:g} alone", path)
            task.score_range = [min(scores, default=0.0), max(scores, default=1.0)]
        return task

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> EmbeddingTask | None:
        """Returns the task of a model of sentence-transformers; None for other models."""
        modules = bundle.modules
        return cls.of_modules(modules) if modules is not None and modules.kind == EMBEDDER else None

    @classmethod
    def of_modules(cls, modules: SentenceModules) -> EmbeddingTask:
        """Makes the task from the settings in the files of a sentence-transformers model."""
        task = cls(
            pooling=modules.pooling,
            normalize=modules.normalize,
            prompts=modules.prompts,
            prompt=modules.prompts.get(modules.default_prompt or "", ""),
            similarity=modules.similarity,
            include_prompt=modules.include_prompt,
        )
        task.longest_input = modules.max_length
        return task

    def for_starting_model(self, folder: PathLike) -> EmbeddingTask:
        """Returns the task with the pooling and the prompts of the model, unless the user gave others."""
        start: EmbeddingTask | None = starting_task(type(self), folder)
        if start is None:
            return self
        task = copy.copy(self)
        if "pooling" not in self._told:
            task.pooling = start.pooling
        task.prompts = dict(start.prompts)
        task.include_prompt = start.include_prompt
        task.longest_input = start.longest_input
        if "prompt" not in self._told:
            task.prompt = start.prompt
        if "pair_prompt" not in self._told:
            task.pair_prompt = task.prompt if "prompt" in self._told else start.pair_prompt
        task.check_prompts()
        return task

    def with_pooling(self, pooling: str) -> EmbeddingTask:
        """Returns the task with this pooling."""
        task = copy.copy(self)
        task.pooling = pooling
        return task

    def sentence_modules(self, sequence_length: int | None) -> SentenceModules:
        """Returns the settings for the files of sentence-transformers, with `prompt` as the default prompt."""
        prompts, default = dict(self.prompts), None
        if self.prompt or self.pair_prompt:
            prompts |= {"query": self.prompt, "document": self.pair_prompt}
        if self.prompt:
            default = "query"
        return SentenceModules(
            pooling=self.pooling,
            normalize=self.normalize,
            max_length=sequence_length,
            prompts=prompts,
            default_prompt=default,
            include_prompt=self.include_prompt,
            similarity=self.similarity,
        )

    def keep_valid(
        self, examples: Sequence[EmbeddingExample], path: PathLike, bad: BadRows | None = None
    ) -> list[EmbeddingExample]:
        """Returns the examples, or raises DataError if a column that the objective needs is missing."""
        first = examples[0] if examples else EmbeddingExample("", "", "", 0.0)
        for role in OBJECTIVES[self.objective].needed_columns:
            if getattr(first, role) is None:
                raise DataError(f"the objective {self.objective} needs a {role} for each text ({role}_column)", path)
        return list(examples)

    def group(self, example: EmbeddingExample) -> str:
        """Returns the text, so that the pairs of a text are not split between training and validation."""
        return same_text(example.text)

    def same_texts(self, example: EmbeddingExample) -> tuple[str, str]:
        """Returns the text and its pair."""
        return same_text(example.text), same_text(example.pair or "")

    def for_validation(self, examples: Sequence[EmbeddingExample], path: PathLike) -> EmbeddingTask:
        """Returns the task with the main metric "spearman" if the examples have scores, else "mrr"."""
        if not examples or examples[0].pair is None:
            raise DataError("validation needs pairs of texts, with scores or without: a table with a pair_column", path)
        task = copy.copy(self)
        task.main_metric = "mrr" if examples[0].score is None else "spearman"
        return task

    # === Texts to features ===

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The input `text`."""
        return (TextInput("text", "text"),)

    def texts_of(self, examples: Sequence[EmbeddingExample]) -> dict[str, list[Any]]:
        """Returns the texts; if there are pairs, each distinct text and pair once, in order of appearance."""
        if not examples or examples[0].pair is None:
            return {"text": [example.text for example in examples]}
        return {
            "text": list(dict.fromkeys(text for example in examples for text in (example.text, example.pair or "")))
        }

    def evaluation_texts(self, examples: Sequence[EmbeddingExample]) -> dict[str, list[Any]]:
        """Returns the texts with their prompts; if there are pairs, each distinct text once, in order of appearance."""
        if not examples or examples[0].pair is None:
            return {"text": [self.prompt + example.text for example in examples]}
        return {"text": list(self._places(examples))}

    def training_rows(self, examples: Sequence[EmbeddingExample], encode: GraphEncoder) -> TrainingRows:
        """Returns the items of the objective, each a text and those that it is compared with, and their targets."""
        objective = self._make_objective()
        items = objective.items(examples)
        # The second text of "unsupervised" is the text itself.
        others = self.prompt if self.objective == "unsupervised" else self.pair_prompt
        texts = [(others if place else self.prompt) + text for item in items for place, text in enumerate(item)]
        ids, type_ids = encode_texts(encode, texts)
        sizes = np.array([len(item) for item in items], np.int64)
        return TrainingRows(ids, type_ids, objective.targets(examples, items), sizes)

    def validation_rows(self, examples: Sequence[EmbeddingExample], encode: GraphEncoder) -> TrainingRows | None:
        """Returns the rows; None if the objective has no loss for examples like these."""
        return self.training_rows(examples, encode) if self._make_objective().can_measure(examples[0]) else None

    def _make_objective(self) -> EmbeddingObjective:
        if self.objective == "triplets":
            return TripletsObjective(self.margin)
        if self.objective == "scores":
            return ScoresObjective(self.score_range)
        return (
            PairsObjective(self.temperature) if self.objective == "pairs" else UnsupervisedObjective(self.temperature)
        )

    # === Model ===

    def build(self, encoder: BertEncoder) -> EmbeddingModel:
        """Makes the encoder with pooling.

        Raises:
            UsageError: The task has a prompt, but the model excludes prompts from the pooling, which kbert does not
                compute.
        """
        self.check_prompts()
        return EmbeddingModel(encoder, self.pooling, self.normalize)

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over items; see `EmbeddingObjective.loss_sums`."""
        return self._make_objective().loss_sums(outputs["vector"], batch)

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the number of items."""
        count = tf.cast(tf.shape(batch[features.INPUT_WORD_IDS.name])[0], tf.float32)
        has_accuracy = OBJECTIVES[self.objective].has_accuracy
        return dict.fromkeys((*self.losses, "accuracy") if has_accuracy else self.losses, count)

    @property
    def soft_outputs(self) -> Mapping[str, SoftOutput]:
        """See `TrainableTask.soft_outputs`."""
        return {"vector": SoftOutput(VECTORS)}

    @property
    def explained_inputs(self) -> tuple[TextInput, ...]:
        """The text, and the one that it is compared with."""
        return (*self.text_inputs, TextInput("text_pair", "pair"))

    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the cosine of each vector and the one that it is compared with."""
        return tf.reduce_sum(tf.math.l2_normalize(outputs["vector"], -1) * tf.math.l2_normalize(target, -1), -1)

    # === Answers ===

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the `vector` of each text, float32 [B, H]."""
        return {"vector": outputs["vector"]}

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the `vector` of each text, float32 [B, H]."""
        return {"vector": outputs["vector"]}

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"vector": [numbers]}."""
        return {"vector": row["vector"].tolist()}

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the text, and its vector with spaces between the numbers."""
        return "\t".join([prediction["text"], " ".join(f"{value:.6f}" for value in prediction["vector"])])

    def evaluate(self, examples: Sequence[EmbeddingExample], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns the metrics of pairs of texts.

        If pairs have scores, these are Spearman's and Pearson's correlation of scores and cosines. Otherwise each text
        is a query for its pairs among the second texts of all examples except itself, with the metrics "mrr",
        "recall@1", "recall@5", "recall@10" and "ndcg@10".
        """
        if not examples or examples[0].pair is None:
            raise DataError("expected pairs of texts to measure; name their column: pair")
        vectors = answers["vector"].astype(np.float32)
        places = self._places(examples)
        texts = np.array([places[self.prompt + example.text] for example in examples])
        pairs = np.array([places[self.pair_prompt + (example.pair or "")] for example in examples])
        count = {"examples": len(examples)}
        if examples[0].score is not None:
            scores = [example.score or 0.0 for example in examples]
            return count | score_metrics(vectors[texts], vectors[pairs], scores)
        if self.similarity == "cosine":
            vectors = of_length_1(vectors)
        names = [example.text for example in examples]
        return count | pair_metrics(vectors, texts, pairs, names, [example.pair or "" for example in examples])

    @property
    def description(self) -> str:
        """What the model does, for a model card."""
        length = ", of length 1" if self.normalize else ""
        return f"vectors of texts ({self.pooling} pooling{length}), trained with the objective {self.objective}"

    def _places(self, examples: Sequence[EmbeddingExample]) -> dict[str, int]:
        """Returns the index of each distinct text, with its prompt, in order of appearance."""
        both = ((self.prompt + example.text, self.pair_prompt + (example.pair or "")) for example in examples)
        return {text: place for place, text in enumerate(dict.fromkeys(text for each in both for text in each))}

"""Relations: the relation between two entities whose places in a text are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.errors import UsageError
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.relations import RelationModel
from kbert.sources.bad_rows import BadRows
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.labels import label_names
from kbert.tasks.metrics.relations import relation_scores, usual_no_relation
from kbert.tasks.options import RelationOptions, TaskOptions
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.explaining import LABEL, ExplainedPart, PartsExplainingTask, TokenPlaces, log_odds
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, named_numbers, names, number, string_or_none
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import TokenRows, TrainingRows
from kbert.tasks.readers.relations import RelationExample, marked_entities, read_relations
from kbert.tasks.rows.entity_rows import check_room, entity_rows
from kbert.tasks.text_task import Example, same_text
from kbert.text.graph.encoder import GraphEncoder

_TEXTS_AT_ONCE = 512


class RelationsTask(PartsExplainingTask, TrainableTask[RelationExample]):
    """A task that finds the relation between a head and a tail, two spans of a text.

    Both spans are marked in the row of tokens (`kbert.tasks.rows.entity_rows`). The relation is computed from the
    vectors of [CLS], of the head and of the tail.

    Args:
        labels: The relations, in the order of the logits.
        no_relation: The label of pairs without a relation, which the F1 leaves out; None if there is none.
        class_weights: The weight of each relation in the loss; 1 for relations that are not named.
        label_smoothing: The part of each target that is spread evenly over all relations in the loss.

    Raises:
        ValueError: There are fewer than two labels, or `no_relation` is none of them.
        UsageError: `label_smoothing` is not in [0, 1).
    """

    name: ClassVar[str] = "relations"
    architecture = "BertForRelations"
    main_metric = "f1"
    losses = ("cross_entropy",)
    explained_as = "log odds of the relation"
    pooled: ClassVar[bool] = False
    examples_noun: ClassVar[str] = "texts with two entities"
    not_for_phones: ClassVar[str] = "apps would have to find the tokens of the entities in the text by themselves"
    saved_fields: ClassVar[Mapping[str, Kind]] = {
        "labels": names,
        "no_relation": string_or_none,
        "class_weights": named_numbers,
        "label_smoothing": number,
    }
    model_features = (*features.ENCODER_FEATURES, features.ENTITY_POSITIONS)

    def __init__(
        self,
        labels: Sequence[str],
        no_relation: str | None = None,
        class_weights: Mapping[str, float] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        # The loss and the probabilities are those of a classification.
        self._classes: Any = ClassificationTask(labels, False, class_weights, label_smoothing)
        if no_relation is not None and no_relation not in labels:
            raise ValueError(f"no_relation must be one of the labels. Received: {no_relation!r}")
        self.labels = list(labels)
        self.no_relation = no_relation
        self.class_weights = self._classes.class_weights
        self.label_smoothing = label_smoothing

    # === Reading ===

    @classmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: RelationOptions, *, targets: bool, bad: BadRows
    ) -> Iterator[RelationExample]:
        """Yields the examples of JSON lines, tables, or the text of SemEval-2010 task 8."""
        return read_relations(
            path, columns, form=options.table_format, targets=targets, offsets=options.offsets, bad=bad
        )

    @classmethod
    def from_examples(
        cls, examples: Sequence[RelationExample], path: PathLike, options: Mapping[str, Any] | TaskOptions | None = None
    ) -> RelationsTask:
        """Makes the task with all relations of the examples, in the order of their names."""
        chosen: RelationOptions = cls.info().choose_options(options)
        rows = [Example(example.text, None, example.target, example.line) for example in examples]
        found = ClassificationTask.from_examples(rows, path, chosen)
        none = chosen.no_relation
        if none is not None and none not in found.labels:
            labels = ", ".join(found.labels)
            raise UsageError(
                f"no_relation must be one of the relations of the training file ({labels}). Received: {none}"
            )
        none = usual_no_relation(found.labels) if none is None else none
        return cls(found.labels, none, found.class_weights, found.label_smoothing)

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> RelationsTask | None:
        """Returns the task of a model of kbert without kbert.json; None for other models."""
        if bundle.architecture != cls.architecture or paired:
            return None
        return cls(bundle.labels, usual_no_relation(bundle.labels))

    def foreign_config(self) -> dict[str, Any]:
        """Returns the keys of config.json for the names of the relations."""
        return label_names(self.labels)

    def check_example(self, example: RelationExample) -> RelationExample:
        """Returns the example; raises ValueError for a relation that is not in the training data."""
        if example.target not in self.labels:
            labels = ", ".join(self.labels)
            raise ValueError(f"expected one of the relations seen in training ({labels}). Received {example.target!r}")
        return example

    def group(self, example: RelationExample) -> str:
        """Returns the text, so that the pairs of a text are not split between training and validation."""
        return same_text(example.text)

    def same_texts(self, example: RelationExample) -> tuple[str, tuple[int, int], tuple[int, int]]:
        """Returns the text and the places of the entities."""
        return same_text(example.text), example.head, example.tail

    def examples_of_texts(self, texts: Sequence[Any]) -> list[RelationExample] | None:
        """Returns the examples of texts with marks: <e1>…</e1> around the head and <e2>…</e2> around the tail.

        Raises:
            UsageError: A text has no marks.
        """
        try:
            return [RelationExample(*marked_entities(text)) for text in texts]
        except (TypeError, ValueError) as problem:
            raise UsageError(str(problem)) from None

    # === Texts to features ===

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The inputs `text`, and `head` and `tail`, the spans of the entities in it."""
        return (
            TextInput("text", "text"),
            TextInput("head", "head", is_span=True),
            TextInput("tail", "tail", is_span=True),
        )

    def texts_of(self, examples: Sequence[RelationExample]) -> dict[str, list[Any]]:
        """Returns the texts and the spans."""
        return {
            "text": [example.text for example in examples],
            "head": [list(example.head) for example in examples],
            "tail": [list(example.tail) for example in examples],
        }

    def encode(self, encode: GraphEncoder, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns a row for each text, in which the entities are marked, and the positions of the entities."""
        return entity_rows(encode, inputs["text"], inputs["head"], inputs["tail"])

    def training_rows(self, examples: Sequence[RelationExample], encode: GraphEncoder) -> TrainingRows:
        """Returns a row for each example, and the targets "labels", int32 [items], and `entity_positions`."""
        check_room(encode)  # raises here, since TensorFlow wraps errors that are raised in a graph
        graph = tf.function(
            lambda text, head, tail: entity_rows(encode, text, head, tail),
            input_signature=[text.spec for text in self.text_inputs],
            autograph=False,
        )
        tokens, positions = TokenRows(), []
        for start in range(0, len(examples), _TEXTS_AT_ONCE):
            texts = self.texts_of(examples[start : start + _TEXTS_AT_ONCE])
            found = {
                name: value.numpy()
                for name, value in graph(*(text.tensor(texts[text.name]) for text in self.text_inputs)).items()
            }
            tokens.add(found)
            positions.append(found[features.ENTITY_POSITIONS.name])
        return TrainingRows(
            *tokens.tokens(),
            {
                "labels": self._classes.label_ids(examples),
                features.ENTITY_POSITIONS.name: np.concatenate(positions),
            },
        )

    def trivial_metrics(
        self, train: Sequence[RelationExample], validation: Sequence[RelationExample]
    ) -> tuple[str, dict[str, Any]]:
        """Returns the metrics of a model that always gives the most frequent relation of the training examples.

        Pairs without a relation are left out, since the F1 of such an answer is 0.
        """
        labels = self._classes.label_ids(train)
        counts = np.bincount(labels, minlength=len(self.labels))
        if self.no_relation is not None and (labels != self.labels.index(self.no_relation)).any():
            counts[self.labels.index(self.no_relation)] = 0
        probabilities = np.zeros((len(validation), len(self.labels)), np.float32)
        probabilities[:, counts.argmax()] = 1.0
        words = f"always answers {self.labels[counts.argmax()]!r}"
        return words, self.evaluate(validation, {"probabilities": probabilities})

    # === Model ===

    def build(self, encoder: BertEncoder) -> RelationModel:
        """Makes the encoder with a classifier on the vectors of [CLS] and of the entities."""
        return RelationModel(encoder, len(self.labels))

    @property
    def head_row_names(self) -> Sequence[str]:
        """The relations, in the order of the logits."""
        return self.labels

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over examples."""
        return self._classes.loss_sums(outputs, batch)

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the sum of the examples' weights, and the number of examples."""
        return self._classes.loss_weights(batch)

    # === Answers ===

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the likeliest relation and the probabilities of all relations.

        `relation` is string [B]; `classes`, all relations, string [B, C]; `probabilities`, in the order of `classes`,
        float32 [B, C].
        """
        answers = self._classes.served_answers(outputs, encoded)
        return {"relation": answers["label"], "classes": answers["classes"], "probabilities": answers["probabilities"]}

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the `probabilities` of the relations, float32 [B, C]."""
        return {"probabilities": tf.nn.softmax(outputs["logits"])}

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"relation", "probabilities": {relation: p}}."""
        return {
            "relation": row["relation"].decode("utf-8"),
            "probabilities": dict(zip(self.labels, row["probabilities"].tolist(), strict=True)),
        }

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the relation, its probability, the head, the tail and the text."""
        relation, text = prediction["relation"], prediction["text"]
        entities = [text[slice(*prediction[role])] for role in ("head", "tail")]
        return "\t".join([relation, f"{prediction['probabilities'][relation]:.4f}", *entities, text])

    def evaluate(self, examples: Sequence[RelationExample], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns the metrics of classification, with "f1" as the scorer of SemEval-2010 task 8 and "micro_f1".

        Both F1 scores leave the pairs without a relation out (`relation_scores`); the other metrics count all examples.
        """
        found = self._classes.evaluate(examples, answers)
        true, predicted = self._classes.label_ids(examples), answers["probabilities"].argmax(-1)
        scores = relation_scores(self.labels, true, predicted, self.no_relation)
        return {"examples": found["examples"], **scores, **{name: each for name, each in found.items() if name != "f1"}}

    # === Explanations ===

    def explained_part(
        self, encode: GraphEncoder, encoded: Tensors, outputs: Tensors, chosen: Tensors
    ) -> ExplainedPart:
        """Returns the likeliest relation, or the given one."""
        relation = tf.where(chosen[LABEL] < 0, self.explained_target(outputs), chosen[LABEL])
        return ExplainedPart(
            {feature.name: encoded[feature.name] for feature in self.model_features},
            TokenPlaces(encoded["token_texts"], encoded["token_starts"], encoded["token_ends"]),
            relation,
            {LABEL: tf.gather(tf.constant(self.labels), relation)},
        )

    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the log odds of the relation."""
        return log_odds(outputs["logits"], target)

    # === Words for people ===

    @property
    def sample_arguments(self) -> str:
        """Arguments of `kbert predict`, as an example in a model card."""
        return "'The <e1>head</e1> and the <e2>tail</e2> of a text.'"

"""Semantic roles: the predicates of a text, their senses, and who did what to whom."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.errors import DataError
from kbert.files import PathLike
from kbert.models.encoder import BertEncoder
from kbert.models.semantic_roles import SemanticRolesModel
from kbert.sources.bad_rows import BadRows
from kbert.tasks.answers.predicate_senses import SenseTable, sense_forms
from kbert.tasks.answers.roles import answered_predicates, role_scores
from kbert.tasks.answers.spans import LETTERS, found_spans, served_spans
from kbert.tasks.labels import label_names
from kbert.tasks.options import SemanticRolesOptions, TaskOptions
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, named_counts, names
from kbert.tasks.protocol.soft_outputs import CLASSES, SoftOutput
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.tasks.readers.lost_spans import lost_spans
from kbert.tasks.readers.predicates import RolesText
from kbert.tasks.readers.semantic_roles import ENDINGS, read_roles_texts
from kbert.tasks.readers.tag_schemes import split_tag, tag_labels
from kbert.tasks.readers.tagged_texts import TaggedText
from kbert.tasks.rows.role_passes import best_tags, given_spans, predicate_rows, spans_in_order
from kbert.tasks.rows.role_targets import RoleTargets, with_predicates
from kbert.tasks.rows.windowed_words import window_stride, words_of_windows
from kbert.tasks.rows.word_labels import IGNORED
from kbert.tasks.text_task import same_text
from kbert.text.graph.encoder import GraphEncoder

_TEXTS_AT_ONCE = 256
_LOG = logging.getLogger("kbert")


class SemanticRolesTask(TrainableTask[RolesText]):
    """A task that finds the predicates of a text, their senses, and the spans of their roles.

    The encoder reads a text twice. In the first pass all token types are 0, and each word is tagged as a predicate or
    not. In the second pass there is a row for each predicate, whose tokens have the type 1; each word is tagged with a
    role, and the sense is computed from the predicate's first token. Long texts are split into overlapping windows; the
    roles of a predicate are those in the window in which it counts.

    Args:
        roles: The roles, such as ARG0.
        senses: The senses of predicates, such as give.01; none if they are unknown.
        forms: The indices of the senses that each predicate had in the training texts, by its text in lower case.

    Raises:
        ValueError: There are no roles, or an index is that of no sense.
    """

    name: ClassVar[str] = "semantic-roles"
    architecture = "BertForSemanticRoles"
    main_metric = "f1"
    pooled: ClassVar[bool] = False
    windowed: ClassVar[bool] = True
    one_pass: ClassVar[bool] = False
    not_private = "a text is one training row, and each of its predicates another"
    not_unlabelled = "its rows for predicates follow from those in the file"
    not_for_phones: ClassVar[str] = "they read a text again for each predicate that they found"
    examples_noun: ClassVar[str] = "texts"
    saved_fields: ClassVar[Mapping[str, Kind]] = {"roles": names, "senses": names, "forms": named_counts}

    def __init__(
        self, roles: Sequence[str], senses: Sequence[str] = (), forms: Mapping[str, Sequence[int]] | None = None
    ) -> None:
        if not roles:
            raise ValueError("roles must be one or more. Received: none")
        self.roles = list(roles)
        self.senses = list(senses)
        self.forms = {form: list(indices) for form, indices in (forms or {}).items()}
        if not all(0 <= index < len(self.senses) for indices in self.forms.values() for index in indices):
            raise ValueError(f"forms must have indices of the {len(self.senses)} senses. Received: others")
        self._senses = SenseTable(self.senses, self.forms)
        self.labels = tag_labels(self.roles, "iob2")
        self.losses = ("predicate_loss", "role_loss", *(["sense_loss"] if self.senses else []))
        parts = [split_tag(label) for label in self.labels]
        # Tables from tags to letters and roles, for the graph.
        self._letters = np.array([LETTERS.index(letter) for letter, _ in parts], np.int32)
        self._types = np.array([self.roles.index(role) if role else -1 for _, role in parts], np.int32)

    # === Reading ===

    @classmethod
    def has_own_format(cls, path: PathLike) -> bool:
        """Returns whether the suffix is that of a CoNLL file."""
        return str(path).lower().endswith(ENDINGS)

    @classmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: SemanticRolesOptions, *, targets: bool, bad: BadRows
    ) -> Iterator[RolesText]:
        """Yields the texts of JSON lines, CoNLL columns, or CoNLL-U with the columns of Universal Propositions."""
        return read_roles_texts(
            path, columns, form=options.table_format, targets=targets, offsets=options.offsets, bad=bad
        )

    @classmethod
    def from_examples(
        cls, examples: Sequence[RolesText], path: PathLike, options: Mapping[str, Any] | TaskOptions | None = None
    ) -> SemanticRolesTask:
        """Makes the task with the roles and senses of all predicates of the examples."""
        predicates = [(each.text, predicate) for each in examples for predicate in each.predicates or ()]
        roles = sorted({role.label for _, predicate in predicates for role in predicate.roles})
        if not roles:
            raise DataError("expected texts with predicates and roles. There are none in any of them", path)
        known = [(text[each.start : each.end], each.sense) for text, each in predicates if each.sense]
        forms = sense_forms([word for word, _ in known], [str(sense) for _, sense in known])
        senses = sorted({sense for listed in forms.values() for sense in listed})
        ids = {sense: index for index, sense in enumerate(senses)}
        return cls(roles, senses, {form: [ids[sense] for sense in listed] for form, listed in forms.items()})

    def foreign_config(self) -> dict[str, Any]:
        """Returns the keys of config.json for the names of the tags of roles."""
        return label_names(self.labels)

    def keep_valid(self, examples: Sequence[RolesText], path: PathLike, bad: BadRows | None = None) -> list[RolesText]:
        """Returns the texts, and logs how many predicates and roles no prediction can equal."""
        found = super().keep_valid(examples, path, bad)
        lost = lost_spans([*(with_predicates(each) for each in found), *_with_roles(found)])
        if lost is not None:
            _LOG.warning("%s: %s", path, lost.message(path))
        unknown = {role.label for each in _with_roles(found) for role in each.spans or ()} - set(self.roles)
        if unknown:
            listed = ", ".join(sorted(unknown)[:10])
            _LOG.warning("%s: these roles are not in the training file, so none is ever found: %s", path, listed)
        return found

    def group(self, example: RolesText) -> str:
        """Returns the text, so that equal texts are not split between training and validation."""
        return same_text(example.text)

    # === Texts to features ===

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The input `text`."""
        return (TextInput("text", "text"),)

    @property
    def evaluation_inputs(self) -> tuple[TextInput, ...]:
        """The input `text`, and the `predicates` of texts whose roles are asked for given predicates."""
        return (*self.text_inputs, TextInput("predicates", "predicates", is_list=True, is_span=True))

    def texts_of(self, examples: Sequence[RolesText]) -> dict[str, list[Any]]:
        """Returns the texts."""
        return {"text": [example.text for example in examples]}

    def evaluation_texts(self, examples: Sequence[RolesText]) -> dict[str, list[Any]]:
        """Returns the texts twice: without predicates, and with those of the file."""
        texts = [example.text for example in examples]
        return {"text": [*texts, *texts], "predicates": [*([] for _ in texts), *_given(examples)]}

    def encode(self, encode: GraphEncoder, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns windows over the texts, and the places of their words."""
        windows = encode.windows(inputs["text"], stride=window_stride(encode.sequence_length))
        words = words_of_windows(windows, encode)
        return {
            **windows.features,
            **{name: inputs[name] for name in ("text", "predicates") if name in inputs},
            "word_mask": words.keep,
            "word_rows": words.rows,
            "word_starts": words.starts,
            "word_ends": words.ends,
            "token_starts": windows.starts,
            "token_ends": windows.ends,
            "in_text": windows.slides,
        }

    def second_pass(self, encode: GraphEncoder, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns a row for each predicate that the first pass found, or that is given."""
        probabilities = tf.nn.softmax(tf.boolean_mask(outputs["predicate_logits"], encoded["word_mask"]))
        tags = tf.argmax(probabilities, -1, tf.int32)  # the tags are the first of LETTERS
        found = found_spans(tags, tf.where(tags > 0, 0, -1), tf.reduce_max(probabilities, -1), encoded)
        if "predicates" in encoded:
            found = spans_in_order(found, given_spans(encoded["predicates"]))
        return predicate_rows(encode, encoded, found)

    def training_rows(self, examples: Sequence[RolesText], encode: GraphEncoder) -> TrainingRows:
        """Returns a row for each window over a text, and one for each predicate; see `RoleTargets`."""

        def rows(text: tf.Tensor, predicates: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
            encoded = self.encode(encode, {"text": text})
            return encoded, predicate_rows(encode, encoded, given_spans(predicates))

        inputs = self.evaluation_inputs
        graph = tf.function(rows, input_signature=[each.spec for each in inputs], autograph=False)
        targets = RoleTargets(self.labels, self.roles, self.senses)
        for start in range(0, len(examples), _TEXTS_AT_ONCE):
            part = examples[start : start + _TEXTS_AT_ONCE]
            values: dict[str, list[Any]] = {"text": [each.text for each in part], "predicates": _given(part)}
            for encoded in graph(*(each.tensor(values[each.name]) for each in inputs)):
                targets.add(part, {name: value.numpy() for name, value in encoded.items()})
        return targets.rows()

    def trivial_metrics(
        self, train: Sequence[RolesText], validation: Sequence[RolesText]
    ) -> tuple[str, dict[str, Any]]:
        """Returns the metrics of a model that finds no predicate."""
        rows = 2 * len(validation)
        names = ("starts", "ends", "senses", "role_counts")
        empty = {name: np.zeros((rows, 0)) for name in names}
        return "finds no predicate", self.evaluate(validation, {"count": np.zeros(rows, int), **empty})

    # === Model ===

    def build(self, encoder: BertEncoder) -> SemanticRolesModel:
        """Makes the encoder with the classifiers of predicates, roles and senses."""
        return SemanticRolesModel(encoder, len(self.labels), len(self.senses))

    @property
    def head_row_names(self) -> Sequence[str]:
        """The tags of roles, in the order of the logits."""
        return self.labels

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over words, and over predicates with a sense."""
        sums, right = {}, tf.constant(0.0)
        for name, label in (("predicate", "predicate_labels"), ("role", "role_labels"), ("sense", "senses")):
            if f"{name}_loss" not in self.losses:
                continue
            labels, logits = batch[label], outputs[f"{name}_logits"]
            counted = tf.cast(labels != IGNORED, tf.float32)
            labels = tf.maximum(labels, 0)
            nll = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            sums[f"{name}_loss"] = tf.reduce_sum(counted * nll)
            if name == "role":
                right = tf.reduce_sum(counted * tf.cast(tf.argmax(logits, -1, tf.int32) == labels, tf.float32))
        return {**sums, "tag_accuracy": right}

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the numbers of words and of predicates with a sense."""

        def count(label: str) -> tf.Tensor:
            return tf.maximum(tf.reduce_sum(tf.cast(batch[label] != IGNORED, tf.float32)), 1.0)

        weights = {"predicate_loss": count("predicate_labels"), "role_loss": count("role_labels")}
        if self.senses:
            weights["sense_loss"] = count("senses")
        return {**weights, "tag_accuracy": weights["role_loss"]}

    @property
    def soft_outputs(self) -> Mapping[str, SoftOutput]:
        """See `TrainableTask.soft_outputs`."""
        return {f"{name.removesuffix('_loss')}_logits": SoftOutput(CLASSES) for name in self.losses}

    # === Answers ===

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the predicates of each text, in order, and their roles.

        N is the largest number of predicates in a text of the batch, and R the largest number of roles of a predicate.
        `count`, the number of predicates, is int32 [B]; `starts` and `ends`, character offsets in the text, int32
        [B, N]; `scores`, the mean probability of the tags of a predicate, float32 [B, N]; `senses`, string [B, N], and
        `sense_scores`, their probabilities, float32 [B, N], if the model knows senses. Of the roles, `role_counts` is
        int32 [B, N]; `roles`, string [B, N, R]; `role_starts` and `role_ends`, int32 [B, N, R]; and `role_scores`,
        float32 [B, N, R].
        """
        logits = tf.boolean_mask(outputs["role_logits"], encoded["word_mask"])
        count = tf.shape(encoded[features.INPUT_MASK.name])[0]
        tags = best_tags(logits, encoded["word_rows"], count, self.labels)
        scores = tf.gather(tf.nn.softmax(logits), tags, batch_dims=1)
        texts = tf.concat([tf.gather(encoded["text"], encoded["predicate_rows"]), [""]], 0)
        found = served_spans(
            self.roles, tf.gather(self._letters, tags), tf.gather(self._types, tags), scores, encoded, texts
        )

        def by_text(values: tf.Tensor) -> tf.RaggedTensor:
            rows = tf.cast(encoded["predicate_rows"], tf.int64)
            return tf.RaggedTensor.from_value_rowids(values, rows, tf.size(encoded["text"], tf.int64))

        starts, ends = encoded["predicate_starts"], encoded["predicate_ends"]
        answers = {"starts": starts, "ends": ends, "scores": encoded["predicate_scores"]}
        if self.senses:
            text = tf.strings.unicode_transcode(texts[:-1], "UTF-8", "UTF-8")
            words = tf.strings.substr(text, starts, ends - starts, unit="UTF8_CHAR")
            logits = outputs["sense_logits"][:-1]
            answers["senses"], answers["sense_scores"] = self._senses.likeliest(words, logits)
        # The last row belongs to no predicate.
        answers |= {
            "role_counts": found["count"][:-1],
            "roles": found["labels"][:-1],
            **{f"role_{name}": found[name][:-1] for name in ("starts", "ends", "scores")},
        }
        return {
            "count": tf.cast(by_text(starts).row_lengths(), tf.int32),
            **{name: by_text(values).to_tensor() for name, values in answers.items()},
        }

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the probabilities for the tokens of a row, in which the types 1 mark a predicate.

        `predicate_probabilities` is float32 [B, S, 3]; `role_probabilities`, float32 [B, S, C]; and
        `sense_probabilities`, float32 [B, K], if the model knows senses.
        """
        return {
            name.replace("_loss", "_probabilities"): tf.nn.softmax(outputs[name.replace("_loss", "_logits")])
            for name in self.losses
        }

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"predicates": [{"start", "end", "sense", "roles": [{"start", "end", "role"}]}]}."""
        return {
            "predicates": [
                {
                    "start": each.start,
                    "end": each.end,
                    **({"sense": each.sense} if self.senses else {}),
                    "roles": [{"start": role.start, "end": role.end, "role": role.label} for role in each.roles],
                }
                for each in answered_predicates(row, with_senses=bool(self.senses))
            ]
        }

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the predicates, with their senses and roles, and the text."""
        text = prediction["text"]
        shown = []
        for predicate in prediction["predicates"]:
            word = predicate.get("sense") or text[predicate["start"] : predicate["end"]]
            roles = "; ".join(f"{role['role']} {text[role['start'] : role['end']]!r}" for role in predicate["roles"])
            shown.append(f"{word} ({roles})")
        return f"{', '.join(shown) or '-'}\t{text}"

    def evaluate(self, examples: Sequence[RolesText], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns the scores of roles, predicates and senses; see `role_scores`."""
        return role_scores(examples, answers, with_senses=bool(self.senses))


def _with_roles(examples: Sequence[RolesText]) -> list[TaggedText]:
    """Returns each text once for each predicate, with its roles as spans."""
    return [
        TaggedText(example.text, predicate.roles, example.line)
        for example in examples
        for predicate in example.predicates or ()
    ]


def _given(examples: Sequence[RolesText]) -> list[list[list[int]]]:
    return [[[each.start, each.end] for each in example.predicates or ()] for example in examples]

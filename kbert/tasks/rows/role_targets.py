"""The targets that a model of semantic roles learns, in the rows of both passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kbert import features
from kbert.tasks.protocol.training_rows import TokenRows, TrainingRows
from kbert.tasks.readers.predicates import RolesText
from kbert.tasks.readers.tag_schemes import tag_labels
from kbert.tasks.readers.tagged_texts import Span, TaggedText
from kbert.tasks.rows.word_labels import IGNORED, labels_of_spans

_PREDICATE = "V"
_PREDICATE_TAGS = tag_labels([_PREDICATE], "iob2")
_BY_TOKEN = ("predicate_labels", "role_labels")


class RoleTargets:
    """Collects rows of tokens with their targets.

    The targets are "predicate_labels" and "role_labels", int32 by token, -1 for tokens without a label; and "senses",
    int32 [items], -1 for rows without a sense.

    Args:
        labels: The tags of roles.
        roles: The roles. Those of a text that are not among them are not learnt.
        senses: The senses.
    """

    def __init__(self, labels: Sequence[str], roles: Sequence[str], senses: Sequence[str]) -> None:
        self._labels = labels
        self._roles = frozenset(roles)
        self._senses = {sense: index for index, sense in enumerate(senses)}
        self._tokens = TokenRows()
        self._targets: dict[str, list[np.ndarray]] = {name: [] for name in (*_BY_TOKEN, "senses")}

    def add(self, examples: Sequence[RolesText], encoded: Mapping[str, np.ndarray]) -> None:
        """Adds the rows of the first or of the second pass over some texts.

        Args:
            examples: The texts with their predicates.
            encoded: What `SemanticRolesTask.encode` returned for the texts, or `predicate_rows` for the predicates.
        """
        shape = encoded[features.INPUT_MASK.name].shape
        labels = {name: np.full(shape, IGNORED, np.int32) for name in _BY_TOKEN}
        senses = np.full(shape[0], IGNORED, np.int32)
        of_words = encoded["word_rows"], encoded["word_starts"]
        if "predicate_rows" in encoded:
            by_place = {
                (row, predicate.start): (example.text, predicate)
                for row, example in enumerate(examples)
                for predicate in example.predicates or ()
            }
            places = zip(encoded["predicate_rows"].tolist(), encoded["predicate_starts"].tolist(), strict=True)
            asked = [by_place[place] for place in places]
            senses[: len(asked)] = [self._senses.get(predicate.sense or "", IGNORED) for _, predicate in asked]
            texts = [
                TaggedText(text, tuple(role for role in predicate.roles if role.label in self._roles))
                for text, predicate in asked
            ]
            if asked:
                labels["role_labels"][encoded["word_mask"]] = labels_of_spans(self._labels, texts, *of_words)
            # The last row belongs to no predicate.
            encoded = {name: values[:-1] for name, values in features.encoder_part(encoded).items()}
            labels = {name: values[:-1] for name, values in labels.items()}
            senses = senses[:-1]
        else:
            texts = [with_predicates(example) for example in examples]
            labels["predicate_labels"][encoded["word_mask"]] = labels_of_spans(_PREDICATE_TAGS, texts, *of_words)
        inside = self._tokens.add(encoded)
        for name, values in labels.items():
            self._targets[name].append(values[inside])
        self._targets["senses"].append(senses)

    def rows(self) -> TrainingRows:
        """Returns all rows."""
        by_token = {
            name: self._tokens.by_token(self._targets[name], padding=IGNORED, by_token=True) for name in _BY_TOKEN
        }
        senses = np.concatenate(self._targets["senses"]).astype(np.int32)
        return TrainingRows(*self._tokens.tokens(), {**by_token, "senses": senses})


def with_predicates(example: RolesText) -> TaggedText:
    """Returns a text with its predicates as spans."""
    spans = tuple(Span(each.start, each.end, _PREDICATE) for each in example.predicates or ())
    return TaggedText(example.text, spans, example.line)

"""The targets that a model of semantic roles learns, in the rows of both passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kbert import features
from kbert.tasks.protocol.training_rows import Ragged, TrainingRows
from kbert.tasks.readers.predicates import RolesText
from kbert.tasks.readers.tag_schemes import tag_labels
from kbert.tasks.readers.tagging import Span, TaggedText
from kbert.tasks.word_labels import IGNORED, labels_of_spans

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
        names = ("ids", "types", "lengths", *_BY_TOKEN, "senses")
        self._parts: dict[str, list[np.ndarray]] = {name: [] for name in names}

    def add(self, examples: Sequence[RolesText], encoded: Mapping[str, np.ndarray]) -> None:
        """Adds the rows of the first or of the second pass over some texts.

        Args:
            examples: The texts with their predicates.
            encoded: What `SemanticRolesTask.encode` returned for the texts, or `predicate_rows` for the predicates.
        """
        mask = encoded[features.INPUT_MASK.name] == 1
        labels = {name: np.full(mask.shape, IGNORED, np.int32) for name in _BY_TOKEN}
        senses = np.full(len(mask), IGNORED, np.int32)
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
            mask = mask[:-1]
            labels = {name: values[:-1] for name, values in labels.items()}
            senses = senses[:-1]
        else:
            texts = [with_predicates(example) for example in examples]
            labels["predicate_labels"][encoded["word_mask"]] = labels_of_spans(_PREDICATE_TAGS, texts, *of_words)
        self._parts["ids"].append(encoded[features.INPUT_WORD_IDS.name][: len(mask)][mask])
        self._parts["types"].append(encoded[features.INPUT_TYPE_IDS.name][: len(mask)][mask])
        self._parts["lengths"].append(mask.sum(-1))
        for name, values in labels.items():
            self._parts[name].append(values[mask])
        self._parts["senses"].append(senses)

    def rows(self) -> TrainingRows:
        """Returns all rows."""
        joined = {name: np.concatenate(values) for name, values in self._parts.items()}
        lengths = joined["lengths"]
        by_token = {name: Ragged(joined[name], lengths, padding=IGNORED, by_token=True) for name in _BY_TOKEN}
        return TrainingRows(
            Ragged(joined["ids"], lengths),
            Ragged(joined["types"], lengths),
            {**by_token, "senses": joined["senses"].astype(np.int32)},
        )


def with_predicates(example: RolesText) -> TaggedText:
    """Returns a text with its predicates as spans."""
    spans = tuple(Span(each.start, each.end, _PREDICATE) for each in example.predicates or ())
    return TaggedText(example.text, spans, example.line)

"""What the records of a corpus hold, counted as training reads them, batch by batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from kbert import features
from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.files import PathLike
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

_BATCH_SIZE = 256


class Label(NamedTuple):
    """What a label says: its name in counts, in a table, and in words of each of its values, 0 and 1."""

    fact: str
    title: str
    words: tuple[str, str]


LABELS = {
    "nsp": Label("random_next", "random next", ("true next text", "random next text")),
    "sop": Label("swapped", "swapped", ("texts in order", "texts swapped")),
}
"""By objective."""


@dataclasses.dataclass(frozen=True)
class MaskedExample:
    """One example, taken apart.

    Args:
        tokens: What the model sees, [CLS] and [SEP] included.
        originals: {position: token that stood there} of the positions to predict.
        second: The position where the second text begins; None without one.
        label: What the label says, as "random next text"; "" without one.
    """

    tokens: list[str]
    originals: dict[int, str]
    second: int | None
    label: str


@dataclasses.dataclass
class CorpusStatistics:
    """Counts over the examples of a corpus.

    Args:
        vocabulary: The vocabulary of the ids.
        sequence_length: Longest example, S.
        lengths: How many examples have 0, 1, ..., S tokens, int64 [S + 1].
        used: How often each id stands in the unmasked examples, int64 [V].
        predictions: How many positions are predicted, of each fate: "mask", "random", "kept".
        examples: How many examples were read.
        total: How many the corpus has.
        positive: Of them, those whose label is 1; None if there are no labels.
        masking: "static", or "dynamic" when masks were drawn for this.
        objective: "nsp", "sop" or "none": what the label says.
        packed_to: Tokens a row, where examples are packed.
        packed_fill_rate: Part of the places of packed rows that hold a token.
    """

    vocabulary: Vocabulary
    sequence_length: int
    masking: str
    total: int
    lengths: np.ndarray
    used: np.ndarray
    predictions: dict[str, int] = dataclasses.field(default_factory=lambda: {"mask": 0, "random": 0, "kept": 0})
    examples: int = 0
    positive: int | None = None
    objective: str = "nsp"
    packed_to: int | None = None
    packed_fill_rate: float | None = None

    @classmethod
    def empty(cls, vocabulary: Vocabulary, sequence_length: int, masking: str, total: int) -> CorpusStatistics:
        """Counts of nothing yet."""
        lengths = np.zeros(sequence_length + 1, np.int64)
        return cls(vocabulary, sequence_length, masking, total, lengths, np.zeros(len(vocabulary), np.int64))

    def add(self, batch: Mapping[str, np.ndarray]) -> None:
        """Adds the examples of a batch of features."""
        ids = batch[features.INPUT_WORD_IDS.name]
        inside = batch[features.INPUT_MASK.name] > 0
        weights = batch[features.MASKED_LM_WEIGHTS.name] > 0
        rows, places = np.nonzero(weights)
        columns = batch[features.MASKED_LM_POSITIONS.name][rows, places]
        originals = batch[features.MASKED_LM_IDS.name][rows, places]
        seen = ids[rows, columns]
        self.predictions["mask"] += int((seen == self.vocabulary.mask_id).sum())
        self.predictions["kept"] += int((seen == originals).sum())
        self.predictions["random"] += int(((seen != self.vocabulary.mask_id) & (seen != originals)).sum())
        whole = ids.copy()
        whole[rows, columns] = originals
        self.used += np.bincount(whole[inside], minlength=len(self.used))
        self.lengths += np.bincount(inside.sum(1), minlength=len(self.lengths))
        self.examples += len(ids)
        labels = batch.get(features.NEXT_SENTENCE_LABELS.name)
        if labels is not None and self.objective in LABELS:
            self.positive = (self.positive or 0) + int(labels.sum())

    @property
    def tokens(self) -> int:
        """Tokens of all examples, without padding."""
        return int(self.lengths @ np.arange(len(self.lengths)))

    @property
    def fill_rate(self) -> float:
        """Part of the places that hold a token, of packed rows where examples are packed."""
        if self.packed_fill_rate is not None:
            return self.packed_fill_rate
        return self.tokens / max(1, self.examples * self.sequence_length)

    @property
    def masked_share(self) -> float:
        """Part of the tokens that are predicted, of all tokens, [CLS] and [SEP] included, as the original counts."""
        return sum(self.predictions.values()) / max(1, self.tokens)

    def most_used(self, count: int) -> list[tuple[str, int]]:
        """The tokens that occur most, with how often; special ones left out."""
        order = np.argsort(-self.used, kind="stable")
        ranked = ((self.vocabulary[int(index)], int(self.used[index])) for index in order[: count + 5])
        return [(token, uses) for token, uses in ranked if uses and token not in SPECIAL_TOKENS][:count]

    def never_used(self) -> list[str]:
        """The tokens that never occur, in the order of their ids; special ones left out."""
        return [
            self.vocabulary[int(index)]
            for index in np.flatnonzero(self.used == 0)
            if self.vocabulary[int(index)] not in SPECIAL_TOKENS
        ]

    def facts(self) -> dict[str, Any]:
        """All that fits in a few lines."""
        predictions = sum(self.predictions.values())
        share = None if self.positive is None else self.positive / max(1, self.examples)
        return {
            "examples": self.examples,
            "examples_in_corpus": self.total,
            "sequence_length": self.sequence_length,
            "tokens": self.tokens,
            "mean_length": self.tokens / max(1, self.examples),
            "fill_rate": self.fill_rate,
            "packed_to": self.packed_to,
            "objective": self.objective,
            **({LABELS[self.objective].fact: share} if self.objective in LABELS else {}),
            "masking": self.masking,
            "masked": self.masked_share,
            "predictions_per_example": predictions / max(1, self.examples),
            "fates": {name: count / max(1, predictions) for name, count in self.predictions.items()},
            "unknown": int(self.used[self.vocabulary.unk_id]) / max(1, self.tokens),
            "vocabulary": len(self.vocabulary),
            "never_used": len(self.never_used()),
        }


def read_statistics(
    folder: PathLike,
    *,
    examples: int = 0,
    limit: int | None = None,
    seed: int = 0,
    pack_to: int | None = None,
    vocab: PathLike | None = None,
    cased: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[CorpusStatistics, list[MaskedExample]]:
    """Goes through the examples of a corpus in the order of training's first epoch.

    Records without masks are masked as training with `seed` does. Memory does not depend on the corpus.

    Args:
        folder: A folder that `kbert corpus build` wrote, or other records: see `PretrainingBatches` for this and
            the last three.
        examples: How many examples to give, the first ones in the shuffled order.
        limit: Read so many examples only; None: all.
        seed: Of the order and of dynamic masks.
        pack_to: Read packed rows of so many tokens.
        vocab: The vocabulary of other records: a vocab.txt, or a model folder with all its settings.
        cased: Whether the text of these was not lower-cased, if `vocab` is a vocab.txt.
        progress: Called with (examples read, examples to read).

    Raises:
        RecordError: The folder is not a finished corpus, or a shard is damaged.
    """
    batches = PretrainingBatches(folder, batch_size=1, seed=seed, pack_to=pack_to, vocab=vocab, cased=cased)
    manifest = batches.manifest
    total = manifest.examples
    left = wanted = total if limit is None else min(limit, total)
    rows_left = batches.rows
    batches.batch_size = max(1, min(_BATCH_SIZE, rows_left))
    statistics = CorpusStatistics.empty(batches.vocabulary, manifest.sequence_length, manifest.masking, total)
    statistics.objective = manifest.objective
    if pack_to is not None:
        statistics.packed_to, statistics.packed_fill_rate = pack_to, batches.fill_rate
    shown: list[MaskedExample] = []
    for batch in batches.batches():
        # The last batch goes on into the second epoch.
        batch = {name: values[:rows_left] for name, values in batch.items()}
        rows_left -= len(batch[features.INPUT_WORD_IDS.name])
        if pack_to is not None:
            batch = unpacked(batch)
        batch = {name: values[:left] for name, values in batch.items()}
        size = len(batch[features.INPUT_WORD_IDS.name])
        statistics.add(batch)
        for row in range(min(examples - len(shown), size)):
            shown.append(_take_apart(batch, row, batches.vocabulary, manifest.objective))
        left -= size
        if progress:
            progress(wanted - left, wanted)
        if not left or not rows_left:
            break
    return statistics, shown


def unpacked(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The examples of packed rows, [B, S], a row each, [N, S], as if they were not packed."""
    owners = batch[features.INPUT_EXAMPLE_IDS.name]
    places = batch[features.INPUT_POSITIONS.name]
    most = batch[features.NEXT_SENTENCE_POSITIONS.name].shape[1]
    rows, columns = np.nonzero(owners)
    found, numbers = np.unique(rows * most + owners[rows, columns] - 1, return_inverse=True)

    def empty(feature: features.Feature, width: int) -> np.ndarray:
        return np.zeros((len(found), width), batch[feature.name].dtype)

    result = {}
    for feature in features.ENCODER_FEATURES:
        table = result[feature.name] = empty(feature, owners.shape[1])
        table[numbers, places[rows, columns]] = batch[feature.name][rows, columns]
    rows, slots = np.nonzero(batch[features.MASKED_LM_WEIGHTS.name])
    columns = batch[features.MASKED_LM_POSITIONS.name][rows, slots]
    numbers = np.searchsorted(found, rows * most + owners[rows, columns] - 1)
    counts = np.bincount(numbers, minlength=len(found))
    order = np.argsort(numbers, kind="stable")
    target = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    for feature in features.MASKING_FEATURES:
        table = result[feature.name] = empty(feature, int(counts.max(initial=1)))
        is_position = feature is features.MASKED_LM_POSITIONS
        values = places[rows, columns] if is_position else batch[feature.name][rows, slots]
        table[numbers[order], target] = values[order]
    result[features.NEXT_SENTENCE_LABELS.name] = batch[features.NEXT_SENTENCE_LABELS.name].ravel()[found]
    return result


def _take_apart(batch: Mapping[str, np.ndarray], row: int, vocabulary: Vocabulary, objective: str) -> MaskedExample:
    def values(feature: features.Feature) -> Any:
        return batch[feature.name][row]

    length = int(values(features.INPUT_MASK).sum())
    predicted = values(features.MASKED_LM_WEIGHTS) > 0
    types = values(features.INPUT_TYPE_IDS)[:length]
    second = np.flatnonzero(types)
    label = batch.get(features.NEXT_SENTENCE_LABELS.name)
    return MaskedExample(
        tokens=[vocabulary[int(index)] for index in values(features.INPUT_WORD_IDS)[:length]],
        originals={
            int(position): vocabulary[int(index)]
            for position, index in zip(
                values(features.MASKED_LM_POSITIONS)[predicted], values(features.MASKED_LM_IDS)[predicted], strict=True
            )
        },
        second=int(second[0]) if len(second) else None,
        label="" if label is None or objective not in LABELS else LABELS[objective].words[int(label[row])],
    )


def words_with_marks(example: MaskedExample) -> Iterator[tuple[str, str, str]]:
    """Yields (text, fate, original) of the pieces of an example, for showing it.

    The text has a space before it but where a piece continues a word. The fate is "" for a token that is not predicted,
    else "mask", "random" or "kept".
    """
    for position, token in enumerate(example.tokens):
        text = token[2:] if token.startswith("##") else f" {token}" if position else token
        original = example.originals.get(position)
        fate = ""
        if original is not None:
            fate = "kept" if token == original else "mask" if token == "[MASK]" else "random"
        yield text, fate, original or ""

"""Counts lengths, labels, masks and tokens in the records of a corpus, read in batches as training reads them."""

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
    """The meaning of a label.

    Args:
        fact: The key of the share of examples with label 1 in `CorpusStatistics.facts`.
        title: The name of the label in a table.
        words: The meaning of the values 0 and 1.
    """

    fact: str
    title: str
    words: tuple[str, str]


LABELS = {
    "nsp": Label("random_next", "random next", ("true next text", "random next text")),
    "sop": Label("swapped", "swapped", ("texts in order", "texts swapped")),
}
"""The labels by objective."""


@dataclasses.dataclass(frozen=True)
class MaskedExample:
    """The tokens, predictions and label of an example.

    Args:
        tokens: The masked tokens that the model sees, including [CLS] and [SEP].
        originals: The original token of each position to predict, by position.
        second: The position where the second text begins, or None if there is no second text.
        label: The meaning of the label, such as "random next text", or "" if there is no label.
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
        sequence_length: The maximum length of an example in tokens, S.
        lengths: The number of examples with 0, 1, ..., S tokens, int64 [S + 1].
        used: The number of occurrences of each id in the unmasked examples, int64 [V].
        predictions: The number of predicted positions by replacement: "mask", "random" or "kept".
        examples: The number of examples read.
        total: The number of examples in the corpus.
        positive: The number of examples read whose label is 1; None if there are no labels.
        masking: "static" if the records are masked, "dynamic" if masks are drawn while reading.
        objective: "nsp", "sop" or "none"; determines the meaning of the label.
        packed_to: The number of tokens per row if examples are packed, else None.
        packed_fill_rate: The fraction of positions in packed rows that hold a token; None if examples are not packed.
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
        """Returns counts of zero for a corpus. The arguments are the fields of the same names."""
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
        """The number of tokens in all examples, without padding."""
        return int(self.lengths @ np.arange(len(self.lengths)))

    @property
    def fill_rate(self) -> float:
        """The fraction of positions that hold a token, in packed rows if examples are packed."""
        if self.packed_fill_rate is not None:
            return self.packed_fill_rate
        return self.tokens / max(1, self.examples * self.sequence_length)

    @property
    def masked_share(self) -> float:
        """The fraction of tokens that are predicted; [CLS] and [SEP] count as tokens, as in the original release."""
        return sum(self.predictions.values()) / max(1, self.tokens)

    def most_used(self, count: int) -> list[tuple[str, int]]:
        """Returns the most frequent tokens with their counts, without special tokens."""
        order = np.argsort(-self.used, kind="stable")
        ranked = ((self.vocabulary[int(index)], int(self.used[index])) for index in order[: count + 5])
        return [(token, uses) for token, uses in ranked if uses and token not in SPECIAL_TOKENS][:count]

    def never_used(self) -> list[str]:
        """Returns the tokens that never occur, in the order of their ids, without special tokens."""
        return [
            self.vocabulary[int(index)]
            for index in np.flatnonzero(self.used == 0)
            if self.vocabulary[int(index)] not in SPECIAL_TOKENS
        ]

    def facts(self) -> dict[str, Any]:
        """Returns the summary that `kbert corpus inspect` shows."""
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
    """Counts the examples of a corpus in the order of the first training epoch.

    Records without masks are masked as in training with `seed`. Memory use does not depend on the size of the corpus.

    Args:
        folder: A folder that `kbert corpus build` wrote, or records of other programs (see `PretrainingBatches`).
        examples: The number of examples to return: the first ones in the shuffled order.
        limit: The maximum number of examples to read; None means all.
        seed: Seeds the order of examples and the dynamic masks.
        pack_to: The length in tokens of packed rows; None means one example per row.
        vocab: The vocabulary of other records: a vocab.txt, or a model folder with all its settings.
        cased: Whether the text of other records kept its case, if `vocab` is a vocab.txt.
        progress: A function that is called with (examples read, examples to read).

    Returns:
        The counts, and the first `examples` examples.

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
        # The last batch also contains rows of the second epoch, which are cut off here.
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
    """Returns the features of a batch of packed rows, [B, S], with each example in a row of its own, [N, S]."""
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
    """Yields (text, fate, original) for each token of an example, for display.

    The text begins with a space unless the token is the first or continues a word. The fate of a token that is
    predicted is "mask", "random" or "kept"; for other tokens, fate and original are "".
    """
    for position, token in enumerate(example.tokens):
        text = token[2:] if token.startswith("##") else f" {token}" if position else token
        original = example.originals.get(position)
        fate = ""
        if original is not None:
            fate = "kept" if token == original else "mask" if token == "[MASK]" else "random"
        yield text, fate, original or ""

"""The training rows of generation: [CLS] source [SEP] target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kbert import features
from kbert.tasks.decoding.settings import SHORTEST_SOURCE
from kbert.tasks.protocol.training_rows import Ragged, TrainingRows, encode_texts
from kbert.tasks.readers.generation import GenerationExample
from kbert.text.graph.encoder import GraphEncoder

_MARKS = 2
"""The number of special tokens beside a text: [CLS] and [SEP]. The [SEP] behind a target is predicted, but not read."""


def with_length(encode: GraphEncoder, length: int) -> GraphEncoder:
    """Returns the encoder with another sequence length, which is at least 5."""
    return GraphEncoder(encode.tokenizer, max(5, length))


def target_lengths(examples: Sequence[GenerationExample], encode: GraphEncoder, most: int) -> np.ndarray:
    """Returns the number of tokens of each target of each example, in order, int64; longer ones count as `most`."""
    targets = [target for example in examples for target in example.target]
    return encode_texts(with_length(encode, most + _MARKS), targets)[0].lengths - _MARKS


def source_and_target_rows(
    examples: Sequence[GenerationExample], encode: GraphEncoder, max_target: int | None
) -> TrainingRows:
    """Returns a row for each target: [CLS] source [SEP] target, with the types 0 and 1.

    The targets are those of a masked language model: `masked_lm_positions` (int32) are the last token of the source and
    the tokens of the target, `masked_lm_ids` (int32) the tokens behind them, up to the [SEP] behind the target, and
    `masked_lm_weights` (float32) are 1.

    Args:
        examples: The texts with their targets.
        encode: The tokenizer in the graph, with the sequence length.
        max_target: The largest number of tokens of a target, for which the source leaves room. A longer target is cut,
            and then has no [SEP]. None cuts a source only to make room for its own target.
    """
    length = encode.sequence_length
    most = length - SHORTEST_SOURCE if max_target is None else max_target
    pairs = [(example.text, target) for example in examples for target in example.target]
    # One more token than fits tells whether a text is longer.
    sources = encode_texts(with_length(encode, length + 1), [text for text, _ in pairs])[0]
    targets = encode_texts(with_length(encode, most + 1 + _MARKS), [target for _, target in pairs])[0]
    rows: list[np.ndarray] = []
    starts, predicted = [], []
    cut_sources = cut_targets = 0
    for source, marked in zip(_rows(sources), _rows(targets), strict=True):
        target = marked[1:]  # with its [SEP]
        if len(target) - 1 > most:
            target = target[:most]
            cut_targets += 1
        room = length - (len(target) - 1 if max_target is None else max_target)
        if len(source) > room:
            source = np.append(source[: room - 1], source[-1])
            cut_sources += 1
        rows.append(np.concatenate([source, target[:-1]]))
        starts.append(len(source))
        predicted.append(target)
    lengths = np.array([len(row) for row in rows], np.int64)
    counts = np.array([len(row) for row in predicted], np.int64)
    positions = [np.arange(start - 1, start - 1 + count) for start, count in zip(starts, counts, strict=True)]
    types = [np.arange(size) >= start for start, size in zip(starts, lengths, strict=True)]
    return TrainingRows(
        Ragged(np.concatenate(rows).astype(np.int32), lengths),
        Ragged(np.concatenate(types).astype(np.int32), lengths),
        {
            features.MASKED_LM_POSITIONS.name: Ragged(np.concatenate(positions).astype(np.int32), counts),
            features.MASKED_LM_IDS.name: Ragged(np.concatenate(predicted).astype(np.int32), counts),
            features.MASKED_LM_WEIGHTS.name: Ragged(np.ones(int(counts.sum()), np.float32), counts),
        },
        notes=_notes(len(pairs), cut_sources, cut_targets, length, most),
    )


def _rows(ragged: Ragged) -> Iterator[np.ndarray]:
    """Yields the rows of ragged values."""
    yield from np.split(ragged.values, np.cumsum(ragged.lengths)[:-1])


def _notes(rows: int, sources: int, targets: int, length: int, most: int) -> tuple[str, ...]:
    """Returns sentences about cut texts, for the user."""
    notes = []
    if sources:
        notes.append(
            f"{sources:,} of {rows:,} sources are cut, so that the longest answer ({most} tokens) fits into the "
            f"{length} tokens of a row; --sequence-length and --max-target change this"
        )
    if targets:
        notes.append(
            f"{targets:,} of {rows:,} targets have more than {most} tokens, and are learnt up to there; --max-target "
            "changes this"
        )
    return tuple(notes)

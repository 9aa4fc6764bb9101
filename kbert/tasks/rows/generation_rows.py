"""The training rows of generation: [CLS] source [SEP] target."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.tasks.decoding.settings import SHORTEST_SOURCE
from kbert.tasks.protocol.training_rows import Ragged, TrainingRows, strings
from kbert.tasks.readers.generation import GenerationExample
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.graph.tokenizer import GraphTokenizer

_AT_ONCE = 4096


def target_lengths(examples: Sequence[GenerationExample], encode: GraphEncoder) -> list[int]:
    """Returns the number of tokens of each target of each example, in order."""
    targets = [target for example in examples for target in example.target]
    return [len(ids) for ids in token_ids(encode.tokenizer, targets)]


def token_ids(tokenizer: GraphTokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """Returns the ids of texts without special tokens, int32 [N] each."""
    graph = _graph(tokenizer)
    found: list[np.ndarray] = []
    for start in range(0, len(texts), _AT_ONCE):
        ids = graph(strings(texts[start : start + _AT_ONCE]))
        found += np.split(ids.flat_values.numpy(), ids.row_splits.numpy()[1:-1])
    return found


@functools.lru_cache(maxsize=1)
def _graph(tokenizer: GraphTokenizer) -> Any:
    """Returns the graph of a tokenizer, which is traced once for all texts of a run."""
    return tf.function(tokenizer.__call__, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)


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
    vocabulary = encode.tokenizer.vocabulary
    first, end = [vocabulary.cls_id], [vocabulary.sep_id]
    sources = token_ids(encode.tokenizer, [text for text, _ in pairs])
    targets = token_ids(encode.tokenizer, [target for _, target in pairs])
    rows: list[np.ndarray] = []
    starts, predicted = [], []
    cut_sources = cut_targets = 0
    for source, target in zip(sources, targets, strict=True):
        fits = len(target) <= most
        wanted = np.append(target, end) if fits else target[:most]
        room = length - (min(len(target), most) if max_target is None else max_target) - 2
        rows.append(np.concatenate([first, source[:room], end, wanted[:-1]]))
        starts.append(2 + min(len(source), room))
        predicted.append(wanted)
        cut_sources += len(source) > room
        cut_targets += not fits
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

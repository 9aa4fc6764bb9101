"""Texts without labels, as rows of tokens for a student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features, files
from kbert.errors import DataError
from kbert.prediction.input_files import InputFiles
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import Ragged, TrainingRows
from kbert.tasks.readers.remembered import Reading
from kbert.text.graph.encoder import GraphEncoder
from kbert.training.distillation.objective import HAS_LABEL

_AT_ONCE = 256
"""The number of examples that are tokenized together."""


def read_texts(task: TrainableTask[Any], reading: Reading, paths: Sequence[files.PathLike]) -> dict[str, list[Any]]:
    """Reads the texts of files without labels: tables, files in a format of the task, or a text on each line.

    Args:
        task: The task.
        reading: The columns and the options that describe the files.
        paths: The files.

    Returns:
        The texts for each of `task.text_inputs`.

    Raises:
        DataError: A file is invalid or has no texts.
    """
    reader = InputFiles(task, reading)
    names = [text.name for text in task.text_inputs]
    found: dict[str, list[Any]] = {name: [] for name in names}
    for path in paths:
        lines = reader.text_lines(path, {})
        if lines is not None:
            texts = {names[0]: [line for line in lines if line.strip()]}
            if not texts[names[0]]:
                raise DataError("expected texts without labels. The file has none", path)
        else:
            texts = task.texts_of(list(reader.examples(path, {})))
        for name, values in texts.items():
            found[name] += values
    return found


def rows_without_targets(
    task: TrainableTask[Any], texts: Mapping[str, Sequence[Any]], encode: GraphEncoder
) -> TrainingRows:
    """Returns the tokens of texts, as the served graph sees them; long texts may give several items.

    Inputs of the model other than tokens, such as the positions of spans, are among the targets.

    Args:
        task: The task.
        texts: The texts for each of `task.text_inputs`.
        encode: The tokenizer as a graph.
    """
    inputs = task.text_inputs
    names = [text.name for text in inputs]
    specs = [text.spec for text in inputs]
    of_encoder = {feature.name for feature in features.ENCODER_FEATURES}
    others = [feature.name for feature in task.model_features if feature.name not in of_encoder]

    def tokens(*columns: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor], tf.Tensor | None]:
        encoded = task.encode(encode, task.add_prompts(dict(zip(names, columns, strict=True))))
        found = [encoded[feature.name] for feature in features.ENCODER_FEATURES]
        return found, [encoded[name] for name in others], task.items_of_rows(encoded)

    graph = tf.function(tokens, input_signature=specs, autograph=False)
    ids, types, lengths, sizes = [], [], [], []
    further: dict[str, list[np.ndarray]] = {name: [] for name in others}
    for start in range(0, len(texts[names[0]]), _AT_ONCE):
        columns = [text.tensor(texts[text.name][start : start + _AT_ONCE]) for text in inputs]
        encoded, more, items = graph(*columns)
        found = dict(zip(features.ENCODER_FEATURES, (value.numpy() for value in encoded), strict=True))
        for name, value in zip(others, more, strict=True):
            further[name].append(value.numpy())
        mask = found[features.INPUT_MASK]
        if mask.ndim == 3:  # an item has several rows; the last ones may be missing
            used = mask.any(-1)
            counts = np.where(used, np.arange(1, used.shape[1] + 1), 0).max(-1)
            inside = np.arange(used.shape[1]) < counts[:, None]
            found = {feature: value[inside] for feature, value in found.items()}
            sizes.append(counts)
            mask = mask[inside]
        elif items is not None:
            sizes.append(np.bincount(items.numpy()))  # each item has a row
        tokens_there = mask > 0
        ids.append(found[features.INPUT_WORD_IDS][tokens_there])
        types.append(found[features.INPUT_TYPE_IDS][tokens_there])
        lengths.append(mask.sum(-1, dtype=np.int64))
    joined = np.concatenate(lengths)
    return TrainingRows(
        Ragged(np.concatenate(ids), joined),
        Ragged(np.concatenate(types), joined),
        {name: np.concatenate(parts) for name, parts in further.items()},
        np.concatenate(sizes).astype(np.int64) if sizes else None,
    )


def with_unlabelled(labelled: TrainingRows, others: TrainingRows) -> TrainingRows:
    """Returns the items of both; the target HAS_LABEL says which of them have targets of their own.

    Args:
        labelled: The items with targets.
        others: The items without targets, from `rows_without_targets`.
    """
    count, more = len(labelled), len(others)
    targets: dict[str, np.ndarray | Ragged] = {
        name: np.concatenate([values, others.targets[name]])
        if name in others.targets
        else _extended(values, labelled, others)
        for name, values in labelled.targets.items()
    }
    targets[HAS_LABEL] = np.arange(count + more) < count
    sizes = None
    if labelled.group_sizes is not None or others.group_sizes is not None:
        sizes = np.concatenate([_sizes(labelled), _sizes(others)])
    lengths = np.concatenate([labelled.ids.lengths, others.ids.lengths])
    return TrainingRows(
        Ragged(np.concatenate([labelled.ids.values, others.ids.values]), lengths),
        Ragged(np.concatenate([labelled.type_ids.values, others.type_ids.values]), lengths),
        targets,
        sizes,
        labelled.notes,
    )


def _extended(values: np.ndarray | Ragged, labelled: TrainingRows, others: TrainingRows) -> np.ndarray | Ragged:
    """Returns a target with values for further items, which the losses do not use."""
    if not isinstance(values, Ragged):
        return np.concatenate([values, np.zeros((len(others), *values.shape[1:]), values.dtype)])
    if values.by_token:
        added = others.ids.lengths
    elif labelled.group_sizes is not None and np.array_equal(values.lengths, labelled.group_sizes):
        added = _sizes(others)  # a value for each row of an item, as the outputs have
    else:
        added = np.zeros(len(others), np.int64)
    filling = np.full((int(added.sum()), *values.values.shape[1:]), values.padding, values.values.dtype)
    return Ragged(
        np.concatenate([values.values, filling]),
        np.concatenate([values.lengths, added]),
        values.padding,
        values.by_token,
    )


def _sizes(rows: TrainingRows) -> np.ndarray:
    return np.ones(len(rows), np.int64) if rows.group_sizes is None else rows.group_sizes

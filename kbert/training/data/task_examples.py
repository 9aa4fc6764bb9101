"""The training and validation examples of a task, which are read from the user's files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kbert import files
from kbert.errors import DataError, UsageError, shown
from kbert.sources.bad_rows import BadRows
from kbert.sources.memory_table import as_table, is_path
from kbert.tasks.factories import trainable_task_class
from kbert.tasks.options import TaskOptions
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.readers.columns import find_columns
from kbert.training.data.folds import split_fold, split_part
from kbert.training.options import FinetuneOptions

_LOG = logging.getLogger("kbert")


@dataclasses.dataclass(frozen=True)
class TaskExamples:
    """The result of `read_task_examples`.

    Args:
        task: The task, with the labels and other settings that it takes from the files.
        train: The training examples.
        validation: The validation examples.
        skipped: The bad rows of each file.
        columns: The names of the columns that were read, by role; "" for a column that is not read.
        shared: The number of validation examples whose texts are also in the training file.
    """

    task: TrainableTask[Any]
    train: list[Any]
    validation: list[Any]
    skipped: tuple[tuple[files.PathLike, BadRows], ...]
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    shared: int = 0

    def tell_shared(self) -> None:
        """Logs a warning if examples of the validation file have texts that are also in the training file."""
        if self.shared:
            path, _ = self.skipped[-1]
            _LOG.warning(
                f"{path}: {self.shared:,} of {len(self.validation):,} validation examples have texts that are also in "
                "the training file, so the metrics are better than on new texts"
            )

    def tell_skipped(self) -> None:
        """Logs the number of skipped rows of each file."""
        for path, bad in self.skipped:
            if bad.count:
                _LOG.info(f"{path}: {bad.summary}")


def read_task_examples(
    name: str,
    options: FinetuneOptions,
    *,
    columns: Mapping[str, str],
    task_options: TaskOptions,
    task: TrainableTask[Any] | None = None,
) -> TaskExamples:
    """Reads and checks the examples in the files that the options of a run name.

    Args:
        name: The name of the task.
        options: The options of the run.
        columns: The given column names by role; "" for a column that the files do not have.
        task_options: The task's own options.
        task: The task; by default it is made from the training examples.

    Raises:
        UsageError: None of `validation`, `validation_split` and `fold` is given, or a value is invalid.
        DataError: A file is invalid, or the task cannot train on an example; the message names the file and the line.
    """
    if options.validation is None and options.validation_split is None and options.fold is None:
        raise UsageError("give one of --validation FILE, --validation-split such as 0.1, and --folds K")
    train, seed = _as_data(options.train, "train"), options.seed
    validation = None if options.validation is None else _as_data(options.validation, "validation")
    kind = trainable_task_class(name)
    bad, bad_validation = BadRows(options.skip_bad), BadRows(options.skip_bad)
    absent = {role: name for role, name in columns.items() if name == ""}
    columns = {**find_columns(kind.info(), train, columns, task_options, tell=True), **absent}
    examples = _sample(kind.read_examples(train, columns, options=task_options, bad=bad), options.limit, seed)
    task = kind.from_examples(examples, train, task_options) if task is None else task
    examples = _learnable(task, task.keep_valid(examples, train, bad), train, bad)
    shared = 0
    if options.fold is not None:
        examples, held_out = split_fold(examples, options.fold, seed=seed, group=task.group)
    elif validation is None:
        examples, held_out = split_part(examples, options.validation_split or 0.0, seed=seed, group=task.group)
    else:
        held_out = kind.read_examples(validation, columns, options=task_options, bad=bad_validation)
        try:
            held_out = task.keep_valid(held_out, validation, bad_validation)
        except DataError as problem:
            if options.limit is None or "seen in training" not in str(problem):
                raise
            raise DataError(f"{problem}; --limit {options.limit} leaves out training rows, and thus labels") from None
        shared = _count_shared(task, examples, held_out)
    task = task.for_validation(held_out, validation or train)
    files_read = ((train, bad), (validation or train, bad_validation))
    return TaskExamples(task, examples, held_out, files_read, columns, shared)


def _count_shared(task: TrainableTask[Any], train: Sequence[Any], validation: Sequence[Any]) -> int:
    """Returns the number of validation examples whose texts are also in the training examples."""
    asked = [task.same_texts(example) for example in validation]
    known = {text for text in asked if text is not None}
    shared = {text for text in map(task.same_texts, train) if text in known}
    return sum(text in shared for text in asked)


def _learnable(task: TrainableTask[Any], examples: list[Any], path: files.PathLike, bad: BadRows) -> list[Any]:
    kept = []
    for example in examples:
        try:
            task.check_learnable(example)
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, getattr(example, "line", 0) or None))
        else:
            kept.append(example)
    return kept


def _sample(examples: list[Any], limit: int | None, seed: int) -> list[Any]:
    """Returns at most `limit` examples in the order of the file, drawn at random since files are often sorted by label.

    Args:
        examples: The examples.
        limit: The maximum number of examples; None for all.
        seed: Seeds the draw.
    """
    if limit is None or limit >= len(examples):
        return examples
    chosen = np.random.default_rng(seed).choice(len(examples), limit, replace=False)
    return [examples[index] for index in sorted(chosen.tolist())]


def _as_data(data: Any, name: str) -> files.PathLike:
    """Returns the path of a file unchanged, or the `MemoryTable` of data in memory.

    Raises:
        UsageError: The data are neither a path nor a table.
    """
    if is_path(data):
        return data
    table = as_table(data, name)
    if table is None:
        raise UsageError(
            f"{name} must be a file, a data frame, or a list of rows that are dictionaries. Received: {shown(data)}"
        )
    return table


def digest(*parts: Sequence[Any]) -> str:
    """Returns a digest of examples, which depends on their order but not on their line numbers."""
    found = hashlib.sha256()
    for examples in parts:
        for example in examples:
            values = dataclasses.asdict(example)
            del values["line"]
            found.update(json.dumps(list(values.values())).encode())
        found.update(b"\n")
    return found.hexdigest()

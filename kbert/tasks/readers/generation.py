"""Reads texts and their target texts, from tables and from parallel files."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import DataError, UsageError, shown
from kbert.files.compression import is_compressed
from kbert.sources.bad_rows import BadRows
from kbert.sources.memory_table import MemoryTable
from kbert.sources.named_datasets import is_named_dataset
from kbert.sources.table_format import TableFormat, check_there
from kbert.tasks.readers.tables import read_table


@dataclasses.dataclass(frozen=True)
class GenerationExample:
    """A text, and the texts that are right answers to it.

    Args:
        text: The text.
        target: The target texts, of which each is right; empty if they are unknown.
        line: The 1-based line of the file; 0 for none.
    """

    text: str
    target: tuple[str, ...] = ()
    line: int = 0


def read_pairs_of_texts(
    path: files.PathLike,
    columns: Mapping[str, str],
    *,
    form: TableFormat,
    target_ending: str | None,
    targets: bool,
    bad: BadRows,
) -> Iterator[GenerationExample]:
    """Yields the texts of a file with their targets.

    In JSON lines a text may be a list of sentences, which are joined, and a target a list of texts that are all right.

    Args:
        path: A table; or with `target_ending` or without targets, a file with a text a line.
        columns: The columns of the roles "text" and "target".
        form: The format of the file.
        target_ending: The ending of the file with the targets, line by line, such as "en" for a.en beside a.de. None
            and "" are for tables. Tables and datasets by name never have such a file.
        targets: Whether targets are read.
        bad: Counts the rows that are skipped.

    Raises:
        DataError: A row is invalid, or parallel files have different numbers of lines; with file and line.
        UsageError: There is no file with the targets.
    """
    is_table = isinstance(path, MemoryTable) or is_named_dataset(path) or form.is_table(path)
    parallel = bool(target_ending) and not is_table
    rows = (
        _parallel_rows(path, form, target_ending, targets, bad) if parallel else _table_rows(path, columns, form, bad)
    )
    for line, text, target in rows:
        wanted = [target] if isinstance(target, str) else list(target)
        if targets and not text.strip():
            bad.skip(DataError("expected a text. Received an empty one", path, line))
        elif targets and not (wanted and all(each.strip() for each in wanted)):
            bad.skip(DataError(f"expected a target text. Received {shown(target)}", path, line))
        else:
            yield GenerationExample(text, tuple(each.strip() for each in wanted) if targets else (), line)


def _table_rows(
    path: files.PathLike, columns: Mapping[str, str], form: TableFormat, bad: BadRows
) -> Iterator[tuple[int, str, Any]]:
    for row in read_table(path, columns, form=form, list_values=list(columns), bad=bad):
        text = row.values["text"]
        yield row.line, text if isinstance(text, str) else " ".join(text), row.values.get("target", "")


def _parallel_rows(
    path: files.PathLike, form: TableFormat, target_ending: str | None, targets: bool, bad: BadRows
) -> Iterator[tuple[int, str, str]]:
    if not targets or not target_ending:
        yield from ((line, text, "") for line, text in form.numbered_lines(path, bad))
        return
    beside = target_file(path, target_ending)
    check_there(path)
    if not beside.is_file():
        raise UsageError(f"{path}: expected the targets in {beside}. There is no such file; see --target-ending")
    # A line that cannot be decoded is an error here: without it, all further lines would have wrong targets.
    texts, others = form.numbered_lines(path), form.lines(beside)
    line = 0
    for found, target in itertools.zip_longest(texts, others):
        if found is None or target is None:
            shorter, longer = (path, beside) if found is None else (beside, path)
            raise DataError(f"expected as many lines as in {longer}. Received {line}", shorter)
        line = found[0]
        yield line, found[1], target


def target_file(path: files.PathLike, ending: str) -> Path:
    """Returns the file of targets beside a file of texts.

    Args:
        path: The file of texts, such as "train.de.gz".
        ending: The ending of the file of targets, such as "en"; a compression is added, as in "train.en.gz".
    """
    path = Path(path)
    packed = path.suffix if is_compressed(path) else ""
    stem = path.with_suffix("") if packed else path
    return stem.with_suffix(f".{ending.removeprefix('.')}{packed}")

"""A source reads inputs of any format as one stream of documents."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kbert import files
from kbert.errors import DataError, UsageError
from kbert.sources import delimited, excel, json_lines, named_datasets, parquet, text, wikiextractor
from kbert.sources.bad_rows import BadRows
from kbert.sources.detection import detect_format
from kbert.sources.document import Document, Reading, composed, has_text
from kbert.sources.duplicates import Progress, Repeated, without_lines
from kbert.sources.json_values import is_array
from kbert.sources.places import DocumentRange, Place
from kbert.sources.settings import SourceSettings
from kbert.sources.sheets import file_of, split_sheet

_LOG = logging.getLogger("kbert")

Reader = Callable[[str, Reading], Iterator[Document]]

_READERS: dict[str, Reader] = {
    "text": text.read_text,
    "jsonl": json_lines.read_json_lines,
    "csv": delimited.read_csv,
    "tsv": delimited.read_tsv,
    "wikiextractor": wikiextractor.read_wikiextractor,
    "parquet": parquet.read_parquet,
    "xlsx": excel.read_excel,
    "dataset": named_datasets.read_named_dataset,
}
_OF_LINES = ("text", "jsonl", "wikiextractor")


class Source:
    """The documents of files and of public datasets.

    A line without a visible character (only white space and control characters) is blank. Nothing else is removed from
    the text, since the tokenizer normalizes it.

    Args:
        inputs: Files (also .gz, .bz2, .xz, .zst), folders, globs, `BOOK.xlsx#SHEET`, `tfds:NAME[/CONFIG][:SPLIT]`, or
            `hf-datasets:OWNER/NAME[:CONFIG][:SPLIT]`.
        settings: The settings for reading the inputs.

    Raises:
        UsageError: An input does not exist, is not a regular file, or needs a library that is not installed.
        DataError: A compressed file is damaged at its beginning.
    """

    def __init__(self, inputs: Sequence[files.PathLike], settings: SourceSettings | None = None) -> None:
        self.settings = settings or SourceSettings()
        self.parts: list[tuple[str, str]] = []
        """The (path or name, format) of each file and dataset, in order."""
        for item in inputs:
            if named_datasets.is_named_dataset(item):
                named_datasets.check_named_dataset(os.fspath(item))
                self.parts.append((os.fspath(item), "dataset"))
            else:
                file, sheet = split_sheet(item)
                for path in files.expand_inputs([file]):
                    if not path.is_file():
                        raise UsageError(f"expected a file: text is read more than once. {path} is a pipe or device")
                    address = str(path) if sheet is None else f"{path}#{sheet}"
                    self.parts.append((address, self._format(address)))
        if self.settings.document_separator == "line":
            other = next((part for part in self.parts if part[1] != "text"), None)
            if other:
                raise UsageError(
                    f'document_separator "line" is for text. {other[0]} is read as {other[1]}, a format that defines '
                    "where a document ends; name its --format if it is text"
                )
        _tell_repeated(self.parts)
        named = any(kind == "dataset" for _, kind in self.parts)
        self.size = 0 if named else sum(os.path.getsize(file_of(path)) for path, _ in self.parts)
        """The number of bytes on disk; 0 if unknown."""
        self.counts: Counter[str] = Counter()
        """The numbers of what the last pass left out, as far as the settings allow it: invalid_utf8, bad_rows,
        duplicate_documents, duplicate_lines."""
        self._told = ""

    def _format(self, path: files.PathLike) -> str:
        kind = detect_format(path) if self.settings.format == "auto" else self.settings.format
        if kind == "parquet":
            parquet.import_pyarrow(os.fspath(path))
        return kind

    def formats(self) -> dict[str, int]:
        """Returns the number of parts of each format."""
        return dict(Counter(kind for _, kind in self.parts))

    def documents(self, *, progress: Progress | None = None) -> Iterator[Document]:
        """Yields all documents, of which one at a time is held in memory.

        With `deduplicate`, the inputs are read twice, and hashes are kept in temporary files (see
        `kbert.sources.duplicates`).

        Args:
            progress: A function that is called with the bytes of text searched for duplicates so far, before the first
                document is yielded.

        Raises:
            DataError: A part is unreadable.
        """
        return (document for _, document in self._located(progress))

    def places(self, *, progress: Progress | None = None) -> Iterator[Place]:
        """Yields the places of the documents of `documents`, from which any process can read them (see `read_ranges`).

        Args:
            progress: A function that is called with the bytes of text searched for duplicates so far, before the first
                place is yielded.

        Raises:
            DataError: A part is unreadable.
        """
        return (place for place, _ in self._located(progress))

    def _located(self, progress: Progress | None) -> Iterator[tuple[Place, Document]]:
        counts = self._start_counts()
        unit = self.settings.deduplicate
        if unit == "none":
            yield from self._read(counts)
            return
        left_out = f"duplicate_{unit}s"
        counts[left_out] = 0
        with Repeated((document for _, document in self._read(Counter())), unit, progress) as repeated:
            for place, document in self._read(counts):
                lines = repeated.lines_of(document)
                counts[left_out] += len(lines) if unit == "line" else bool(lines)
                kept = without_lines(document, lines)
                if kept:
                    yield place._replace(size=kept.size, repeated=lines), kept

    def lines(self) -> Iterator[str]:
        """Yields all lines that contain text, without regard to documents.

        With `deduplicate`, these are the lines of `documents`.

        Raises:
            DataError: A part is unreadable. Unlike in `documents`, a text file can be a document of any size, unless
                duplicates are left out.
        """
        if self.settings.deduplicate != "none":
            yield from (line for document in self.documents() for line in document.lines)
            return
        counts = self._start_counts()
        bad = BadRows(self.settings.skip_bad)
        reading = self._reading(counts, bad)
        for path, kind in self.parts:
            if kind != "text":
                for document in _READERS[kind](path, reading):
                    yield from document.lines
                continue
            for _, block in reading.line_blocks(path):
                for line in block:
                    if has_text(line):
                        yield composed(line) if reading.nfc else line
        self._tell_skipped(bad)

    def _tell_skipped(self, bad: BadRows) -> None:
        """Logs which rows a pass skipped, unless an earlier pass has told the same."""
        if bad.count and bad.summary != self._told:
            self._told = bad.summary
            _LOG.warning("%s", bad.summary)

    def _start_counts(self) -> Counter[str]:
        self.counts = Counter()
        if self.settings.invalid_utf8 == "skip":
            self.counts["invalid_utf8"] = 0
        if self.settings.skip_bad:
            self.counts["bad_rows"] = 0
        return self.counts

    def _read(self, counts: Counter[str]) -> Iterator[tuple[Place, Document]]:
        bad = BadRows(self.settings.skip_bad)
        for part, (path, kind) in enumerate(self.parts):
            blocks: list[files.LineStart] = []
            reading = dataclasses.replace(self._reading(counts, bad), on_block=blocks.append)
            for ordinal, document in enumerate(_READERS[kind](path, reading)):
                # Keep only the blocks from the one that contains the document's first line on.
                while len(blocks) > 1 and blocks[1].number <= document.line:
                    del blocks[0]
                yield Place(part, ordinal, path, document.line, document.size, blocks[0] if blocks else None), document
        if counts is self.counts:
            self._tell_skipped(bad)

    def _reading(self, counts: Counter[str], bad: BadRows | None) -> Reading:
        settings = self.settings
        return Reading(
            settings.text_field,
            settings.document_separator,
            settings.invalid_utf8 == "skip",
            settings.nfc,
            settings.encoding,
            settings.delimiter,
            settings.quoting,
            bad if settings.skip_bad else None,
            counts,
        )

    def is_seekable(self, part: int) -> bool:
        """Returns whether reading can start at any line of a part, as in uncompressed files of lines."""
        path, kind = self.parts[part]
        if kind not in _OF_LINES or files.is_compressed(path) or files.has_wide_mark(path):
            return False
        return not self.settings.is_wide and not (kind == "jsonl" and is_array(path))

    def read_ranges(self, ranges: Sequence[DocumentRange]) -> Iterator[list[Document]]:
        """Yields the documents of each range, the same that `documents` yields.

        Args:
            ranges: Ranges of one part, in order.

        Raises:
            DataError: The part has changed since its places were determined.
        """
        path, kind = self.parts[ranges[0].part]
        start = ranges[0].start
        # The number of bad rows was checked when the places were determined.
        reading = dataclasses.replace(self._reading(Counter(), BadRows(1 << 60)), start=start)
        documents = _READERS[kind](path, reading)
        at = ranges[0].first if start else 0
        for wanted in ranges:
            repeated = dict(wanted.repeated)
            found = list(itertools.islice(documents, wanted.first - at, wanted.first - at + wanted.count))
            at = wanted.first + wanted.count
            if len(found) < wanted.count:
                raise DataError(
                    f"expected {wanted.count:,} documents. Received {len(found):,}: the text changed while it was "
                    "read, or machines have different files of that name",
                    path,
                    wanted.start.number if wanted.start else None,
                )
            kept = []
            for ordinal, document in enumerate(found, start=wanted.first):
                lines = repeated.get(ordinal, ())
                left = None if lines is None else without_lines(document, lines)
                if left:
                    kept.append(left)
            yield kept


def _tell_repeated(parts: Sequence[tuple[str, str]]) -> None:
    """Warns about files that are read more than once, for instance since a glob and a path both name them."""
    counts = Counter(path if kind == "dataset" else os.path.realpath(path) for path, kind in parts)
    repeated = [path for path, count in counts.items() if count > 1]
    if repeated:
        others = f" (the same is true of {len(repeated) - 1:,} more)" if len(repeated) > 1 else ""
        _LOG.warning(
            "%s is named %d times by the inputs, and its text is used as often%s; name each input once if this is not "
            "intended",
            repeated[0],
            counts[repeated[0]],
            others,
        )


def describe_formats(formats: dict[str, int]) -> str:
    """Returns the numbers of files of each format in words, such as "2 files as text, 1 dataset"."""
    parts: list[Any] = []
    for kind, count in formats.items():
        if kind == "dataset":
            parts.append(f"{count} dataset{'s' * (count > 1)}")
        else:
            parts.append(f"{count:,} file{'s' * (count > 1)} as {kind}")
    return ", ".join(parts)

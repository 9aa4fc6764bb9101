"""A source: inputs of any form, read as one stream of documents."""

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
from kbert.sources.detection import FORMATS, detect_format
from kbert.sources.document import Document, Reading, composed, has_text
from kbert.sources.duplicates import Progress, Repeated, without_lines
from kbert.sources.json_values import is_array
from kbert.sources.places import DocumentRange, Place
from kbert.sources.table_format import TableFormat

SEPARATORS = ("blank-line", "line")
"""What ends a document of a text file beside the end of the file."""
INVALID_UTF8 = ("fail", "skip")
DEDUPLICATIONS = ("none", "document", "line")

_NEWER = ("skip_bad", "encoding", "delimiter", "quoting")
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


@dataclasses.dataclass(frozen=True)
class SourceSettings:
    """How inputs are read. The documents are a function of the inputs and these alone.

    Args:
        format: "auto", which finds out for each file, or one of FORMATS for all files.
        text_field: The field or column with the text, of all formats but text; "a.b" is field b of field a.
        document_separator: Of text files, one of SEPARATORS.
        invalid_utf8: "fail", or "skip" to leave out and count lines (rows of Parquet and datasets) that are not UTF-8.
        nfc: Bring text to Unicode's composed form.
        deduplicate: "document" or "line" keeps only the first of equal ones; "none" keeps all.
        skip_bad: How many rows without a usable text (null, another type, broken JSON, a wrong number of cells) may be
            left out.
        encoding: The encoding of files of lines.
        delimiter: What stands between the cells of CSV and TSV files; None goes by the format.
        quoting: Whether quotation marks enclose cells ("csv") or are text ("none"); "auto" is csv for CSV.

    Raises:
        UsageError: One of them cannot be.
    """

    format: str = "auto"
    text_field: str = "text"
    document_separator: str = "blank-line"
    invalid_utf8: str = "fail"
    nfc: bool = False
    deduplicate: str = "none"
    skip_bad: int = 0
    encoding: str = "utf-8"
    delimiter: str | None = None
    quoting: str = "auto"

    def __post_init__(self) -> None:
        for name, choices in (
            ("format", ("auto", *FORMATS)),
            ("document_separator", SEPARATORS),
            ("invalid_utf8", INVALID_UTF8),
            ("deduplicate", DEDUPLICATIONS),
        ):
            value = getattr(self, name)
            if value not in choices:
                raise UsageError(f"{name} must be one of {', '.join(choices)}. Received: {value!r}")
        if not self.text_field:
            raise UsageError("text_field must name a field. Received: ''")
        if self.skip_bad < 0:
            raise UsageError(f"skip_bad must be at least 0. Received: skip_bad={self.skip_bad}")
        # It checks these three, and knows names such as "tab".
        form = TableFormat(self.delimiter, self.encoding, self.quoting)
        object.__setattr__(self, "delimiter", form.delimiter)
        if form.delimiter is not None and len(form.delimiter) > 1 and self.quoting != "none":
            raise UsageError(
                f"beside quotation marks the delimiter must be one character. Received: {form.delimiter!r}; if the "
                "marks are text, say --quoting none"
            )

    @property
    def is_wide(self) -> bool:
        """Whether the encoding is one whose lines do not end with the byte 10 alone."""
        return "\n".encode(self.encoding) != b"\n"

    def facts(self) -> dict[str, Any]:
        """What a manifest keeps; JSON. Settings that older manifests do not have are left out where they do nothing."""
        values = dataclasses.asdict(self)
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if name not in _NEWER or value != usual[name]}


class Source:
    """Documents of files and of public datasets.

    A line without a visible character (white space and controls alone) is blank. Nothing else is taken out: what the
    tokenizer drops or folds, it does itself.

    Args:
        inputs: Files (.gz, .bz2, .xz, .zst too), folders or globs; `tfds:NAME[/CONFIG][:SPLIT]`;
            `hf-datasets:OWNER/NAME[:CONFIG][:SPLIT]`.
        settings: How they are read.

    Raises:
        UsageError: An input names no file, or needs a library that is not installed.
        DataError: A compressed file is damaged at its very beginning.
    """

    def __init__(self, inputs: Sequence[files.PathLike], settings: SourceSettings | None = None) -> None:
        self.settings = settings or SourceSettings()
        self.parts: list[tuple[str, str]] = []
        """(path or name, format) of all that is read, in order."""
        for item in inputs:
            if named_datasets.is_named_dataset(item):
                named_datasets.check_named_dataset(os.fspath(item))
                self.parts.append((os.fspath(item), "dataset"))
            else:
                for path in files.expand_inputs([item]):
                    if not path.is_file():
                        raise UsageError(f"expected a file: text is read more than once. {path} is a pipe or device")
                    self.parts.append((str(path), self._format(path)))
        if self.settings.document_separator == "line":
            other = next((part for part in self.parts if part[1] != "text"), None)
            if other:
                raise UsageError(
                    f'document_separator "line" is for text. {other[0]} is read as {other[1]}, which says itself where '
                    "a document ends; name its --format if it is text"
                )
        named = any(kind == "dataset" for _, kind in self.parts)
        self.size = 0 if named else sum(os.path.getsize(path) for path, _ in self.parts)
        """Bytes on disk; 0 if unknown."""
        self.counts: Counter[str] = Counter()
        """What the last pass left out, where it was asked to: invalid_utf8, bad_rows, duplicate_documents,
        duplicate_lines."""

    def _format(self, path: files.PathLike) -> str:
        kind = detect_format(path) if self.settings.format == "auto" else self.settings.format
        if kind == "parquet":
            parquet.import_pyarrow(os.fspath(path))
        return kind

    def formats(self) -> dict[str, int]:
        """How many parts are of which format."""
        return dict(Counter(kind for _, kind in self.parts))

    def documents(self, *, progress: Progress | None = None) -> Iterator[Document]:
        """Streams all documents, one held at a time.

        With `deduplicate` the inputs are gone through twice, and numbers of documents or lines that come again wait in
        an unnamed temporary file: see `kbert.sources.duplicates` for what that takes.

        Args:
            progress: Told how much of the text was looked through for duplicates, before the first document comes.

        Raises:
            DataError: A part cannot be read: what was expected, what was received, the way out.
        """
        return (document for _, document in self._located(progress))

    def places(self, *, progress: Progress | None = None) -> Iterator[Place]:
        """Streams where the documents of `documents` are, so that any process can read them: see `read_ranges`.

        Raises:
            DataError: As `documents`.
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
        """Streams all lines that hold text, whatever documents they are of; duplicates are kept.

        Raises:
            DataError: As `documents`; but a text file may be one large document.
        """
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
        if bad.count:
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
                # The block that holds the document's first line: one of the last, if not the last itself.
                while len(blocks) > 1 and blocks[1].number <= document.line:
                    del blocks[0]
                yield Place(part, ordinal, path, document.line, document.size, blocks[0] if blocks else None), document
        if bad.count and counts is self.counts:
            _LOG.warning("%s", bad.summary)

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
        """Whether reading can begin anywhere in a part: in lines that are not compressed."""
        path, kind = self.parts[part]
        if kind not in _OF_LINES or files.is_compressed(path) or files.has_wide_mark(path):
            return False
        return not self.settings.is_wide and not (kind == "jsonl" and is_array(path))

    def read_ranges(self, ranges: Sequence[DocumentRange]) -> Iterator[list[Document]]:
        """The documents of each of some ranges of one part, in order: the same that `documents` gives.

        Raises:
            DataError: The part was changed since.
        """
        path, kind = self.parts[ranges[0].part]
        start = ranges[0].start
        # How many rows may be bad was checked when places were made.
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


def describe_formats(formats: dict[str, int]) -> str:
    """What was read as what: "2 files as text, 1 dataset"."""
    parts: list[Any] = []
    for kind, count in formats.items():
        if kind == "dataset":
            parts.append(f"{count} dataset{'s' * (count > 1)}")
        else:
            parts.append(f"{count:,} file{'s' * (count > 1)} as {kind}")
    return ", ".join(parts)

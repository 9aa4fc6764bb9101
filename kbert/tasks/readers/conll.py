"""Reads CoNLL files, which have a word and its tags in each line, and an empty line between sentences."""

from __future__ import annotations

import functools
import itertools
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.sources.bad_rows import BadRows
from kbert.sources.table_format import TableFormat
from kbert.tasks.readers.conll_columns import first_sentences, line_of_first_tag, split_cells, width_of_counted_words
from kbert.tasks.readers.tagged_words import Sentence

_LOG = logging.getLogger("kbert")
_MOST_COLUMNS = 4
"""The largest number of columns in a file whose columns are not named: the first is the word, the last is its tag."""
_CONLLU_COLUMNS = 10
_CONLLU_WORD, _CONLLU_TAG = 2, 4
"""The columns of CoNLL-U: FORM is the word, and UPOS, its part of speech, is the tag if no column is named."""
_ID = re.compile(r"\d+((-|\.)\d+)?")
_RANGE = re.compile(r"\d+(-|\.)\d+")
"""The ids of multi-word tokens and of empty nodes in CoNLL-U."""
_BRAT = re.compile(r"T\d+\t\S+ \d+ \d+[\t;]")
"""The beginning of a span in brat's format."""
_COMMENT = re.compile(r"#\s*[\w.:-]+\s*=|#(begin|end) document")


def read_conll(
    path: PathLike, columns: Mapping[str, str], form: TableFormat, targets: bool, bad: BadRows
) -> Iterator[Sentence]:
    """Yields the sentences of a file.

    -DOCSTART- lines, comments, and the multi-word tokens and empty nodes of CoNLL-U are left out. A comment is a line
    that begins with # and has another number of columns than most lines, or the form "# key = value".

    Args:
        path: The file.
        columns: The 1-based numbers of the columns "text" and "label". Without them the file must be CoNLL-U, whose
            words and universal parts of speech are read, or have at most 4 columns: the word is the first, and the tag
            is the last. If the first column counts the words, the word is the second.
        form: The encoding, and the delimiter if it is neither a tab nor a space.
        targets: Whether tags are read.
        bad: Counts the lines that are skipped. The sentence of such a line is left out, too.

    Raises:
        UsageError: A column is a name instead of a number.
        DataError: A line is invalid, with file and line.
    """
    _refuse_brat(path, form)
    word_column, tag_column = (_number(columns.get(role), role) for role in ("text", "label"))
    if not (word_column and tag_column) and _is_conllu(path, form):
        word_column, tag_column = word_column or _CONLLU_WORD, tag_column or _CONLLU_TAG
    if not (word_column or tag_column):
        first = first_sentences(path, form)
        width = width_of_counted_words(first)
        if width > (2 if targets else 1):
            word_column, tag_column = 2, width
            _tell_columns(str(path), f"--text-column 2 --label-column {width}" if targets else "--text-column 2")
        elif targets and (tagged := line_of_first_tag(first)):
            raise DataError(
                "expected a word in the first column, and its tag in the last. Received a tag in the first; name the "
                "columns, such as --text-column 2 --label-column 1",
                path,
                tagged,
            )
    lines = _Lines(path, form, word_column, tag_column if targets else None, targets, bad)
    sentence = Sentence([], [], [])
    broken = False
    skipped = bad.count
    for number, line in itertools.chain(lines.kept(), [(0, "")]):
        # `kept` may have skipped a line in another encoding, which may have been a word of this sentence.
        broken |= bad.count > skipped
        skipped = bad.count
        if not line.strip() or line.startswith("-DOCSTART-"):
            if sentence.words and not broken:
                yield sentence
            sentence, broken = Sentence([], [], []), False
            continue
        cells = lines.cells(line)
        problem = lines.problem(cells, line)
        if problem:
            bad.skip(DataError(problem, path, number))  # the next turn of the loop marks the sentence as broken
            continue
        word = cells[(word_column or 1) - 1].strip()
        if lines.numbered and _RANGE.fullmatch(cells[0].strip()):
            continue
        if not word:
            bad.repaired("words that are only white space were left out", number)
            continue
        sentence.words.append(word)
        sentence.tags.append(cells[tag_column - 1 if tag_column else -1].strip())
        sentence.lines.append(number)


def _refuse_brat(path: PathLike, form: TableFormat) -> None:
    """Checks that a file is not one of brat, whose lines look like words with tags.

    Raises:
        DataError: It is one of brat.
    """
    first = next(form.numbered_lines(path, BadRows(1 << 60)), None)
    if first is not None and _BRAT.match(first[1]):
        raise DataError(
            "expected a word and its tag in each line. Received: the annotations of brat, whose text is in another "
            'file; write JSON lines such as {"text": "Ada left", "spans": [{"start": 0, "end": 3, "label": "PER"}]}',
            path,
            first[0],
        )


@functools.lru_cache(maxsize=1024)  # a file is read several times, but the message is needed once
def _tell_columns(path: str, options: str) -> None:
    _LOG.info("%s: the first column counts words; read with %s", path, options)


def _number(column: str | None, role: str) -> int | None:
    if not column:
        return None
    if not column.isdecimal() or int(column) < 1:
        raise UsageError(
            f"CoNLL files have no names of columns: give the number of a column, such as --{role}-column 1. "
            f"Received: {column}"
        )
    return int(column)


def _is_conllu(path: PathLike, form: TableFormat) -> bool:
    """Returns whether the first lines have the ten columns of CoNLL-U, separated by tabs, and begin with an id."""
    lines = (line for _, line in form.numbered_lines(path, BadRows(1 << 60)))
    words = (line for line in lines if line.strip() and not line.startswith("#"))
    cells = [line.split("\t") for line in itertools.islice(words, 100)]
    return bool(cells) and all(len(each) == _CONLLU_COLUMNS and _ID.fullmatch(each[0]) for each in cells)


class _Lines:
    """The lines of a file, and its number of columns."""

    def __init__(
        self, path: PathLike, form: TableFormat, word: int | None, tag: int | None, targets: bool, bad: BadRows
    ) -> None:
        self._path, self._form, self._bad = path, form, bad
        self._needed = max(word or 1, tag or 1)
        self._named = word is not None or tag is not None
        self._fewest = 2 if targets else 1
        self._width = 0
        self._word, self._tag = word or 1, tag
        self._tabs = False
        self._look()
        self.numbered = self._word > 1
        """Whether the first column may be the ids of CoNLL-U."""

    def _look(self) -> None:
        """Detects the number of columns, and whether tabs separate them, from the first lines without comments."""
        lines = self._form.numbered_lines(self._path, BadRows(1 << 60))
        some = [line for _, line in itertools.islice(lines, 1000) if line.strip() and not line.startswith("-DOCSTART-")]
        words = [line for line in some if not line.startswith("#")] or some
        self._tabs = sum("\t" in line for line in words) * 2 > len(words)
        widths = Counter(width for width in (len(self.cells(line)) for line in words) if self._fits(width))
        self._width = widths.most_common(1)[0][0] if widths else 0

    def _fits(self, width: int) -> bool:
        if self._named:
            return width >= max(self._needed, self._fewest)
        return self._fewest <= width <= _MOST_COLUMNS

    def cells(self, line: str) -> list[str]:
        """Splits a line into cells."""
        return split_cells(line, self._form.delimiter)

    def kept(self) -> Iterator[tuple[int, str]]:
        """Yields all lines except comments, each with its number."""
        for number, line in self._form.numbered_lines(self._path, self._bad):
            if not (line.startswith("#") and self._is_comment(line)):
                yield number, line

    def _is_comment(self, line: str) -> bool:
        cells = self.cells(line)
        if self._tabs:  # in a file with tabs, a first cell with a space is not a word
            return "\t" not in line or len(cells) != self._width or " " in cells[0].strip()
        return len(cells) != self._width or bool(_COMMENT.match(line))

    def problem(self, cells: list[str], line: str) -> str | None:
        """Returns the error about a line; None if the line is valid."""
        self._width = self._width or (len(cells) if self._fits(len(cells)) else 0)
        last = cells[self._tag - 1] if self._tag and self._tag <= len(cells) else cells[-1]
        word = cells[self._word - 1] if self._word <= len(cells) else ""
        right = self._fits(len(cells)) and (self._named or len(cells) == self._width)
        if right and word and last.strip():
            return None
        if self._named:
            return f"expected at least {self._needed} columns with a word and a tag. Received: {line[:60]!r}"
        if not self._width and len(cells) > _MOST_COLUMNS:
            return (
                f"expected 2 to {_MOST_COLUMNS} columns: a word, and its tag last. Received {len(cells)} columns: say "
                f"which they are with --text-column N --label-column N, numbered from 1: {line[:60]!r}"
            )
        expected = f"{self._width} columns" if self._width else f"2 to {_MOST_COLUMNS} columns"
        return f"expected {expected}: a word, and its tag last. Received: {line[:60]!r}"

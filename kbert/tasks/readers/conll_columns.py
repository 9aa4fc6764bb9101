"""Looks at the beginning of a CoNLL file whose columns are not named, to find out what the first column contains."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from kbert.files import PathLike
from kbert.sources.bad_rows import BadRows
from kbert.sources.table_format import TableFormat

_LINES = 1000
"""The number of lines that are looked at."""
_RANGE = re.compile(r"\d+(-|\.)\d+")
_TAG = re.compile(r"O|[BIESMLU]-\S+")

Rows = Sequence[tuple[int, Sequence[str]]]
"""The words of a sentence: the 1-based line of each, and its cells."""


def split_cells(line: str, delimiter: str | None) -> list[str]:
    r"""Splits a line into cells at a delimiter, or else at tabs, or else at spaces.

    Other white space, such as the no-break space in the French number 10 000, may be part of a word. It separates cells
    only in a line without spaces.

    Example:
        >>> split_cells("10\u00a0000 B-NUM", None), split_cells("Ada\u3000B-PER", None)
        (['10\xa0000', 'B-NUM'], ['Ada', 'B-PER'])

    Args:
        line: The line.
        delimiter: The delimiter, if it is neither a tab nor a space.
    """
    if delimiter:
        return line.split(delimiter)
    if "\t" in line:
        return line.split("\t")
    cells = [cell for cell in line.split(" ") if cell]
    return cells if len(cells) > 1 else line.split()


def first_sentences(path: PathLike, form: TableFormat) -> list[Rows]:
    """Returns the first sentences of a file, without comments, -DOCSTART- lines and multi-word tokens.

    Args:
        path: The file.
        form: The encoding, and the delimiter if it is neither a tab nor a space.
    """
    sentences: list[list[tuple[int, Sequence[str]]]] = [[]]
    for number, line in itertools.islice(form.numbered_lines(path, BadRows(1 << 60)), _LINES):
        if not line.strip():
            sentences.append([])
            continue
        cells = [cell.strip() for cell in split_cells(line, form.delimiter)]
        if not line.startswith(("#", "-DOCSTART-")) and not _RANGE.fullmatch(cells[0]):
            sentences[-1].append((number, cells))
    return [rows for rows in sentences if rows]


def width_of_counted_words(sentences: Sequence[Rows]) -> int:
    """Returns the number of columns if the first column counts the words of each sentence, from 0 or 1; else 0.

    Example:
        >>> width_of_counted_words([[(1, ["1", "Ada", "B-PER"]), (2, ["2", "left", "O"])]])
        3
    """
    widths = {len(cells) for rows in sentences for _, cells in rows}
    if len(widths) != 1 or max(map(len, sentences)) < 2:
        return 0
    for rows in sentences:
        first = rows[0][1][0]
        if first not in ("0", "1"):
            return 0
        if [cells[0] for _, cells in rows] != [str(int(first) + place) for place in range(len(rows))]:
            return 0
    return widths.pop()


def line_of_first_tag(sentences: Sequence[Rows]) -> int:
    """Returns the line of the first entity if the first column has the tags, and the last column words; else 0.

    Example:
        >>> line_of_first_tag([[(1, ["O", "in"]), (2, ["B-LOC", "Paris"])]])
        2
    """
    rows = [row for sentence in sentences for row in sentence]
    entity = next((line for line, cells in rows if cells[0] != "O"), 0)
    tags_first = all(_TAG.fullmatch(cells[0]) for _, cells in rows)
    return entity if tags_first and not all(_TAG.fullmatch(cells[-1]) for _, cells in rows) else 0

"""Reads documents from the output of WikiExtractor, in both of its formats.

The default format is `<doc id="12" url="…" title="…">`, the text, `</doc>`; the format of the option --json is one
object per line. Both escape characters as &lt;, &gt; and &amp;, which this module unescapes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from kbert.errors import DataError
from kbert.sources import document as document_
from kbert.sources.document import Document, Reading, too_large
from kbert.sources.json_lines import field_text, parse_object

_BEGIN = re.compile(r"<doc(?:\s[^>]*)?>\s*")
_ESCAPED = re.compile("&(lt|gt|amp|quot|#x27|#39);")


def read_wikiextractor(path: str, reading: Reading) -> Iterator[Document]:
    """Yields the articles as documents. The first line is left out if it repeats the title, as WikiExtractor writes it.

    Raises:
        DataError: There is text outside of a `<doc>`, or a `<doc>` is not closed.
    """
    lines: list[str] = []
    title = ""
    start, size = 0, 0  # start is the line of the open <doc>, or 0 outside
    for first, block in reading.line_blocks(path):
        for number, line in enumerate(block, start=first):
            if not start:
                if not line or line.isspace():
                    continue
                if line.startswith("{"):
                    document = _json_document(line, path, number, reading)
                    if document:
                        yield document
                elif _BEGIN.fullmatch(line):
                    # The title extends to the last quotation mark, since titles can contain quotation marks.
                    title = html.unescape(line.partition(' title="')[2].rpartition('"')[0])
                    start, lines, size = number, [], 0
                else:
                    raise DataError(
                        f"expected WikiExtractor's <doc …>. Received {line[:30]!r}; name the format with --format",
                        path,
                        number,
                    )
            elif line.rstrip() == "</doc>":
                document = _article(lines, title, path, start, size, reading)
                if document:
                    yield document
                start = 0
            elif line.startswith("<doc ") and _BEGIN.fullmatch(line):
                raise DataError("expected </doc> before the next <doc …>: this one is not closed", path, start)
            else:
                lines.append(line)
                size += len(line.encode("utf-8")) + 1
                if size > document_.LARGEST_DOCUMENT:
                    raise too_large(path, start, "is a </doc> missing?")
    if start:
        raise DataError("expected </doc>. The file ends first: it is cut short, or this one is not closed", path, start)


def _json_document(line: str, path: str, number: int, reading: Reading) -> Document | None:
    try:
        row = parse_object(line, path, number)
        text = field_text(row, reading.text_field, path, number)
    except DataError as problem:
        reading.bad_row(problem)
        return None
    document = reading.document(text, path, number)
    if document is None:
        return None
    title = row.get("title")
    lines = list(document.lines)
    return _article(lines, title if isinstance(title, str) else "", path, number, document.size, reading)


def _article(lines: list[str], title: str, path: str, start: int, size: int, reading: Reading) -> Document | None:
    lines = [_unescape(line) if "&" in line else line for line in reading.lines(lines)]
    if lines and title and lines[0].strip() == title.strip():
        del lines[0]
    return Document(tuple(lines), path, start, size) if lines else None


def _unescape(line: str) -> str:
    return _ESCAPED.sub(lambda match: html.unescape(match[0]), line)

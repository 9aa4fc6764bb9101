"""Reads test collections for retrieval: documents, queries, and judgements of which documents are relevant to a query.

documents   JSON lines with "id" or "_id", "text" and optional "title" (as in BEIR); .csv or .tsv with the columns id
            and text, or without a header an id and a text (MS MARCO's collection.tsv and queries.tsv); a folder of
            text files, whose paragraphs are documents; or SMART (.I, .T, .W), as in Cranfield
queries     the same formats, except folders
judgements  TREC's qrels (query, iteration, document, gain), BEIR's (query, document, gain, with a header) or
            Cranfield's (query, document, code)
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

from kbert import files
from kbert.errors import DataError, UsageError, shown
from kbert.sources.bad_rows import BadRows
from kbert.sources.rows import read_objects
from kbert.sources.table_format import TableFormat, file_kind
from kbert.tasks.readers.tables import first_row, read_table

_LOG = logging.getLogger("kbert")
_SMART_START = ".I "
# Cleverdon's codes: 1 is a complete answer, 4 is of historical interest, 5 is of no interest.
_WORST_CODE = 5
_HEADER_FIRST = ("query-id", "query_id", "qid", "query")
_HEADER_LAST = ("score", "gain", "relevance", "rel", "label")


@dataclasses.dataclass(frozen=True)
class Document:
    """A document or a query.

    Args:
        id: The id in judgements.
        text: The title and the text.
        line: The 1-based line where it starts.
    """

    id: str
    text: str
    line: int = 0


def read_documents(
    path: files.PathLike, *, bad: BadRows | None = None, skipped: set[str] | None = None, by_place: bool = False
) -> Iterator[Document]:
    """Yields the documents of a file or folder.

    Args:
        path: A file or folder in one of the formats above.
        bad: Counts the documents that are skipped. The default allows none.
        skipped: A set to which the ids of documents without a text are added, if they have ids.
        by_place: Whether the ids of documents in SMART format are replaced by their numbers in the file, from 1.

    Raises:
        UsageError: The path does not exist.
        DataError: A document has no text or the id of another document, or there are no documents; with file and line.
    """
    bad = bad or BadRows()
    found: dict[str, int] = {}
    skipped = set() if skipped is None else skipped
    for where, document in _documents(Path(path), bad, skipped, by_place):
        if not document.text.strip():
            skipped.add(document.id)
            bad.skip(DataError(f"expected a text for the id {document.id!r}. Received an empty one", *where))
        elif document.id in found:
            bad.skip(
                DataError(f"the id {document.id!r} must appear once; it is in line {found[document.id]} too", *where)
            )
        else:
            found[document.id] = document.line
            yield document
    if not found:
        raise DataError("expected documents. There are none", path)


def read_queries(
    path: files.PathLike, *, bad: BadRows | None = None, skipped: set[str] | None = None
) -> dict[str, Document]:
    """Reads the queries of a file, by id.

    Queries in SMART format are numbered in the order of the file, as Cranfield's judgements number them.

    Args:
        path: A file in one of the formats above.
        bad: Counts the queries that are skipped. The default allows none.
        skipped: A set to which the ids of queries without a text are added, if they have ids.

    Raises:
        UsageError: The file does not exist.
        DataError: A query has no text or the id of another query, or there are no queries; with file and line.
    """
    return {query.id: query for query in read_documents(path, bad=bad, skipped=skipped, by_place=True)}


def read_judgements(path: files.PathLike, *, bad: BadRows | None = None) -> dict[str, dict[str, float]]:
    """Reads the gain of each judged document, by query. Documents with gains above 0 are relevant.

    Cranfield's codes become gains: 1 → 4, 2 → 3, 3 → 2, 4 → 1, 5 → 0. The numbers are codes if the file has three
    columns and no header, and no number is 0 or above 5. Negative numbers become the gain 0.

    Args:
        path: The file of judgements.
        bad: Counts the lines that are skipped. The default allows none.

    Raises:
        UsageError: The file does not exist.
        DataError: A line is not a judgement, or there are no judgements; with file and line.
    """
    bad = bad or BadRows()
    if not Path(path).is_file():
        raise UsageError(f"{path}: no such file")
    judgements: dict[str, dict[str, float]] = {}
    coded = True
    for number, line in enumerate(files.read_lines(path), start=1):
        cells = line.split()
        if number == 1 and cells and (cells[0] in _HEADER_FIRST or cells[-1] in _HEADER_LAST):
            coded = False
            continue
        if not cells:
            continue
        try:
            query, document, value = (cells[0], cells[-2], float(cells[-1])) if len(cells) in (3, 4) else ("", "", 0.0)
        except ValueError:
            query = ""
        if not query:
            bad.skip(
                DataError(
                    f"expected a query, a document and a number (with 0 or Q0 before the document in TREC's files). "
                    f"Received {line!r:.80}",
                    path,
                    number,
                )
            )
            continue
        coded &= len(cells) == 3 and value != 0 and value <= _WORST_CODE
        judgements.setdefault(query, {})[document] = value
    if not judgements:
        raise DataError("expected judgements. There are none", path)
    if coded:
        _LOG.info("%s: read as Cranfield's codes, 1 best and 5 worthless; with a header they are gains", path)
    return {
        query: {
            document: max(0.0, _WORST_CODE - value if coded and value > 0 else value)
            for document, value in values.items()
        }
        for query, values in judgements.items()
    }


def _documents(
    path: Path, bad: BadRows, skipped: set[str], by_place: bool
) -> Iterator[tuple[tuple[Path, int], Document]]:
    if path.is_dir():
        for file in files.expand_inputs([path]):
            name = file.relative_to(path).as_posix()
            for place, (line, text) in enumerate(_paragraphs(file), start=1):
                yield (file, line), Document(f"{name}#{place}", text, line)
        return
    if not path.is_file():
        raise UsageError(f"{path}: no such file or folder")
    kind = file_kind(path)
    if kind == "json":
        documents = _json_documents(path, bad, skipped)
    elif kind == "text":
        documents = _smart_documents(path)
        if by_place:
            documents = (dataclasses.replace(each, id=str(place)) for place, each in enumerate(documents, start=1))
    else:
        documents = _table_documents(path, bad)
    for document in documents:
        yield (path, document.line), document


def _table_documents(path: Path, bad: BadRows) -> Iterator[Document]:
    """Yields the rows of a table with the columns id and text, or of a table without a header, such as MS MARCO's."""
    header = first_row(path, TableFormat())
    columns = {"id": "id", "text": "text"}
    if "text" not in header:
        numbered = len(header) in (2, 3, 4) and header[0].strip().isalnum() and any(map(str.isdigit, header[0]))
        if not numbered:
            names = ", ".join(map(shown, header))
            raise DataError(
                "expected the columns id and text, or rows of an id and a text without a header. Received the columns "
                f"{names}",
                path,
                1,
            )
        # collection.tsv and queries.tsv have two columns; docs.tsv has id, address, title and text.
        columns = {"id": "1", "text": "3-4" if len(header) == 4 else "2" if len(header) == 2 else "2-3"}
    for row in read_table(path, columns, bad=bad):
        yield Document(row.values["id"].strip(), row.values["text"], row.line)


def _json_documents(path: Path, bad: BadRows, skipped: set[str]) -> Iterator[Document]:
    for line, values in read_objects(path, bad=bad):
        name = values.get("_id", values.get("id"))
        title, text = values.get("title") or "", values.get("text")
        if not isinstance(name, (str, int)) or not isinstance(text, str) or not isinstance(title, str):
            if isinstance(name, (str, int)):
                skipped.add(str(name))
            bad.skip(
                DataError(
                    'expected {"id": …, "text": "…"}, and maybe "title". Received the keys '
                    f"{', '.join(map(repr, values)):.80}",
                    path,
                    line,
                )
            )
            continue
        yield Document(str(name), f"{title}\n{text}" if title else text, line)


def _smart_documents(path: Path) -> Iterator[Document]:
    """Yields the documents of a SMART file.

    Documents begin with ".I NUMBER". The field .T is the title, and .W is the text, which may begin with the title.
    """
    name, start, field = "", 0, ""
    parts: dict[str, list[str]] = {}

    def document() -> Document:
        title, text = (" ".join(" ".join(parts.get(key, ())).split()) for key in ("T", "W"))
        return Document(name, text if text.startswith(title) else f"{title}\n{text}", start)

    for number, line in enumerate(files.read_lines(path), start=1):
        if line.startswith(_SMART_START):
            if name:
                yield document()
            name, start, field, parts = line[len(_SMART_START) :].strip(), number, "", {}
        elif not name:
            raise DataError(
                "expected a collection of SMART, which begins with '.I 1', or a .jsonl, .csv or .tsv file. "
                f"Received {line!r:.60}",
                path,
                number,
            )
        elif len(line) == 2 and line[0] == "." and line[1].isupper():
            field = line[1]
        else:
            parts.setdefault(field, []).append(line)
    if name:
        yield document()


def _paragraphs(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the paragraphs of a text file, which blank lines separate, each with its first line number."""
    start, lines = 0, list[str]()
    for number, line in enumerate(files.read_lines(path), start=1):
        if line.strip():
            start = start or number
            lines.append(line.strip())
        elif lines:
            yield start, "\n".join(lines)
            start, lines = 0, []
    if lines:
        yield start, "\n".join(lines)

"""Reads test collections for retrieval: documents, queries, and judgements of which documents are relevant to a query.

documents   JSON lines, Parquet or a dataset by name with "id", "_id" or another usual name such as "docid", "text" and
            optional "title" (as in BEIR and MIRACL); CSV, TSV or Excel with the columns id and text, or without a
            header an id and a text (MS MARCO's collection.tsv and queries.tsv); a folder of text files, whose
            paragraphs are documents; or SMART (.I, .T, .W), as in Cranfield
queries     the same formats, except folders
judgements  TREC's qrels (query, iteration, document, gain), BEIR's (query, document, gain, with a header) or
            Cranfield's (query, document, code); also as CSV, Excel, JSON lines, Parquet, or a dataset by name with
            columns such as query-id, corpus-id and score
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import DataError, UsageError, shown
from kbert.sources.bad_rows import BadRows
from kbert.sources.named_datasets import is_named_dataset
from kbert.sources.rows import read_objects
from kbert.sources.sheets import file_of
from kbert.sources.table_format import TableFormat, check_there, file_kind
from kbert.tasks.readers.tables import column_names, first_row, named_columns, read_table

_LOG = logging.getLogger("kbert")
_SMART_START = ".I "
_LOOKED_AT = 20
"""The number of rows that tell whether a table has a header."""
# Cleverdon's codes: 1 is a complete answer, 4 is of historical interest, 5 is of no interest.
_WORST_CODE = 5
_QUERY_KEYS = ("query-id", "query_id", "qid", "query")
_DOCUMENT_KEYS = (
    "corpus-id",
    "corpus_id",
    "document-id",
    "document_id",
    "doc-id",
    "doc_id",
    "docid",
    "did",
    "pid",
    "passage-id",
    "passage_id",
    "document",
)
_ID_KEYS = ("_id", "id", *_DOCUMENT_KEYS[:-1], *_QUERY_KEYS[:-1])
"""The names of ids. "document" and "query", the last names above, can hold texts."""
_NUMBERED = re.compile(r"\S*\d\S*")
"""An id in a table without a header, such as 7, D1555982 or 7#0."""
_GAIN_KEYS = ("score", "gain", "relevance", "rel", "label")


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


@dataclasses.dataclass(frozen=True)
class DocumentColumns:
    """The columns of a table of documents, or the keys of JSON objects.

    Args:
        id: The column of ids, by its name or 1-based number; None looks for "_id" and "id". "" takes the number of the
            line as the id.
        text: The column of texts, by its name or 1-based number; several columns, such as "title,body", are joined.
            None takes "text", with "title" before it if there is one.
    """

    id: str | None = None
    text: str | None = None


def find_document_columns(
    path: files.PathLike, id_column: str | None, text_column: str | None, form: TableFormat | None = None
) -> DocumentColumns:
    """Returns the columns of documents that need no ids of their own: without a column of ids, lines have numbers.

    Args:
        path: The file, folder or dataset.
        id_column: The column of ids that the user names, or None; "" takes the numbers of lines.
        text_column: The column of texts that the user names, or None.
        form: The format of the file.

    Raises:
        UsageError: The library that reads the dataset is not installed.
        DataError: The file is unreadable.
    """
    columns, form = DocumentColumns(id_column, text_column), form or TableFormat()
    is_there = is_named_dataset(path) or Path(file_of(path)).is_file()
    if id_column is not None or not is_there or not form.is_table(path):
        return columns
    check_there(path)
    names = column_names(path, form)
    has_header = "text" in names or (text_column is not None and set(text_column.split(",")) <= set(names))
    is_numbered = text_column is not None and file_kind(path, form) == "json" and text_column not in names
    if (has_header or is_numbered) and not any(key in names for key in _ID_KEYS):
        _LOG.info("%s: there is no column of ids; the ids of documents are the numbers of their lines", path)
        return DocumentColumns("", text_column)
    return columns


def read_documents(
    path: files.PathLike,
    *,
    columns: DocumentColumns | None = None,
    form: TableFormat | None = None,
    bad: BadRows | None = None,
    skipped: set[str] | None = None,
    by_place: bool = False,
) -> Iterator[Document]:
    """Yields the documents of a file, folder or dataset.

    Args:
        path: A file, folder or dataset in one of the formats above.
        columns: The columns of the id and the text, if they have unusual names.
        form: The format of the files.
        bad: Counts the documents that are skipped. The default allows none.
        skipped: A set to which the ids of documents without a text are added, if they have ids.
        by_place: Whether the ids of documents in SMART format are replaced by their numbers in the file, from 1.

    Raises:
        UsageError: The path does not exist, or columns are named for a file without columns.
        DataError: A document has no text or the id of another document, or there are no documents; with file and line.
    """
    bad = bad or BadRows()
    found: dict[str, int] = {}
    skipped = set() if skipped is None else skipped
    for where, document in _documents(
        path, columns or DocumentColumns(), form or TableFormat(), bad, skipped, by_place
    ):
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
    path: files.PathLike,
    *,
    form: TableFormat | None = None,
    bad: BadRows | None = None,
    skipped: set[str] | None = None,
) -> dict[str, Document]:
    """Reads the queries of a file, by id.

    Queries in SMART format are numbered in the order of the file, as Cranfield's judgements number them.

    Args:
        path: A file or dataset in one of the formats above.
        form: The format of the file.
        bad: Counts the queries that are skipped. The default allows none.
        skipped: A set to which the ids of queries without a text are added, if they have ids.

    Raises:
        UsageError: The file does not exist.
        DataError: A query has no text or the id of another query, or there are no queries; with file and line.
    """
    return {query.id: query for query in read_documents(path, form=form, bad=bad, skipped=skipped, by_place=True)}


def read_judgements(
    path: files.PathLike, *, form: TableFormat | None = None, bad: BadRows | None = None
) -> dict[str, dict[str, float]]:
    """Reads the gain of each judged document, by query. Documents with gains above 0 are relevant.

    Cranfield's codes become gains: 1 → 4, 2 → 3, 3 → 2, 4 → 1, 5 → 0. The numbers are codes if the file has three
    columns and no header, and no number is 0 or above 5. Negative numbers become the gain 0.

    Args:
        path: The file or dataset of judgements.
        form: The format of the file.
        bad: Counts the lines that are skipped. The default allows none.

    Raises:
        UsageError: The file does not exist.
        DataError: A line is not a judgement, or there are no judgements; with file and line.
    """
    bad = bad or BadRows()
    check_there(path)
    judgements: dict[str, dict[str, float]] = {}
    has_header, rows = _judgement_rows(path, form or TableFormat(), bad)
    coded = not has_header
    for number, cells, received in rows:
        try:
            query, document, value = (cells[0], cells[-2], float(cells[-1])) if len(cells) in (3, 4) else ("", "", 0.0)
        except ValueError:
            query = ""
        if not query or not document:
            bad.skip(
                DataError(
                    f"expected a query, a document and a number (with 0 or Q0 before the document in TREC's files). "
                    f"Received {received!r:.80}",
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


def _judgement_rows(
    path: files.PathLike, form: TableFormat, bad: BadRows
) -> tuple[bool, Iterator[tuple[int, Sequence[str], Any]]]:
    """Returns whether a file has a header, and its rows: the line, the cells, and the row as messages show it."""
    kind = file_kind(path, form)
    spaced = kind in ("text", "tsv") and form.delimiter is None
    # A delimiter may be that of another file of the collection, such as the queries.
    if spaced or (kind in ("text", "tsv", "csv") and len(first_row(path, form)) < 2):
        lines = form.numbered_lines(path)
        rows = ((number, line.split(), line) for number, line in lines if line.split())
        first = next(rows, None)
        has_header = first is not None and (first[1][0] in _QUERY_KEYS or first[1][-1] in _GAIN_KEYS)
        return has_header, rows if first is None or has_header else itertools.chain([first], rows)
    names = list(column_names(path, form))
    found = [next((name for name in keys if name in names), None) for keys in (_QUERY_KEYS, _DOCUMENT_KEYS, _GAIN_KEYS)]
    has_header = None not in found
    if not has_header and (kind == "json" or len(names) not in (3, 4)):
        listed = ", ".join(map(shown, names))
        raise DataError(
            "expected columns of queries, documents and gains, such as query-id, corpus-id and score. Received "
            f"{listed}",
            path,
            1,
        )
    chosen = found if has_header else range(1, len(names) + 1)
    table = read_table(path, {str(place): str(name) for place, name in enumerate(chosen)}, form=form, bad=bad)
    cells = ((row.line, [value.strip() for value in row.values.values()]) for row in table)
    return has_header, ((line, values, " ".join(values)) for line, values in cells)


def _documents(
    path: files.PathLike,
    columns: DocumentColumns,
    form: TableFormat,
    bad: BadRows,
    skipped: set[str],
    by_place: bool,
) -> Iterator[tuple[tuple[files.PathLike, int], Document]]:
    if not is_named_dataset(path) and Path(path).is_dir():
        _refuse_columns(path, columns, "a folder of texts")
        for file in files.expand_inputs([path]):
            name = file.relative_to(path).as_posix()
            for place, (line, text) in enumerate(_paragraphs(file, form), start=1):
                yield (file, line), Document(f"{name}#{place}", text, line)
        return
    if not is_named_dataset(path) and not Path(file_of(path)).is_file():
        raise UsageError(f"{path}: no such file or folder")
    check_there(path)
    kind = file_kind(path, form)
    if kind == "json":
        documents = _json_documents(path, columns, form, bad, skipped)
    elif not form.is_table(path):
        _refuse_columns(path, columns, "a collection of SMART")
        documents = _smart_documents(path, form)
        if by_place:
            documents = (dataclasses.replace(each, id=str(place)) for place, each in enumerate(documents, start=1))
    else:
        documents = _table_documents(path, columns, form, bad)
    for document in documents:
        yield (path, document.line), document


def _refuse_columns(path: files.PathLike, columns: DocumentColumns, received: str) -> None:
    if columns != DocumentColumns():
        raise UsageError(
            f"{path}: --id-column and --text-column are for tables, JSON lines and datasets. Received: {received}; "
            "leave them out"
        )


def _table_documents(
    path: files.PathLike, columns: DocumentColumns, form: TableFormat, bad: BadRows
) -> Iterator[Document]:
    """Yields the rows of a table with the columns id and text, or of a table without a header, such as MS MARCO's."""
    header = first_row(path, form)
    usual = next((key for key in _ID_KEYS if key in header), "id")
    chosen = {"id": usual if columns.id is None else columns.id, "text": columns.text or "text"}
    if columns.text is None and "text" in header and "title" in header:
        chosen["text"] = "title,text"
    if columns == DocumentColumns() and "text" not in header:
        if not header:
            raise DataError("expected documents. The file is empty", path)
        if not _is_numbered(path, header, form):
            names = ", ".join(map(shown, header))
            raise DataError(
                "expected the columns id and text, or rows of an id and a text without a header. Received the columns "
                f"{names}",
                path,
                1,
            )
        # collection.tsv and queries.tsv have two columns; docs.tsv has id, address, title and text.
        chosen = {"id": "1", "text": "3-4" if len(header) == 4 else "2" if len(header) == 2 else "2-3"}
    # Only `kbert index build` has options that name columns; queries and judged documents have their usual columns.
    flags = dict.fromkeys(chosen, "") if columns == DocumentColumns() else {}
    named = {role: name for role, name in chosen.items() if name}
    for row in read_table(path, named, form=form, bad=bad, flags=flags):
        yield Document(row.values.get("id", str(row.line)).strip(), row.values["text"], row.line)


def _is_numbered(path: files.PathLike, header: Sequence[str], form: TableFormat) -> bool:
    """Returns whether a table has no header and begins with a column of ids, which have no spaces."""
    if len(header) not in (2, 3, 4) or not _NUMBERED.fullmatch(header[0].strip()):
        return False
    rows = itertools.islice(read_table(path, {"id": "1"}, form=form, bad=BadRows(1 << 60)), _LOOKED_AT)
    return all(len(row.values["id"].split()) == 1 for row in rows)


def _json_documents(
    path: files.PathLike, columns: DocumentColumns, form: TableFormat, bad: BadRows, skipped: set[str]
) -> Iterator[Document]:
    named = {role: name for role, name in (("id", columns.id), ("text", columns.text)) if name}
    named = named_columns(path, named, form)
    for line, values in read_objects(path, form=form, bad=bad):
        name = _document_id(values, columns, named, line)
        title, text = _title_and_text(values, named)
        if not isinstance(name, (str, int)) or not isinstance(text, str) or not isinstance(title, str):
            if isinstance(name, (str, int)):
                skipped.add(str(name))
            expected = f'"{named.get("id", "id")}": …, "{named.get("text", "text")}": "…"'
            bad.skip(
                DataError(
                    f'expected {{{expected}}}, and maybe "title". Received the keys {", ".join(map(repr, values)):.80}',
                    path,
                    line,
                )
            )
            continue
        yield Document(str(name), f"{title}\n{text}" if title else text, line)


def _document_id(values: Mapping[str, Any], columns: DocumentColumns, named: Mapping[str, str], line: int) -> Any:
    if columns.id == "":
        return line
    keys: Collection[str] = (named["id"],) if "id" in named else _ID_KEYS
    return next((values[key] for key in keys if key in values), None)


def _title_and_text(values: Mapping[str, Any], named: Mapping[str, str]) -> tuple[Any, Any]:
    if "text" not in named:
        return values.get("title") or "", values.get("text")
    keys = [named["text"]] if named["text"] in values else named["text"].split(",")
    texts = [values.get(key) for key in keys]
    return "", "\n".join(filter(None, texts)) if all(isinstance(text, str) for text in texts) else None


def _smart_documents(path: files.PathLike, form: TableFormat) -> Iterator[Document]:
    """Yields the documents of a SMART file.

    Documents begin with ".I NUMBER". The field .T is the title, and .W is the text, which may begin with the title.
    """
    name, start, field = "", 0, ""
    parts: dict[str, list[str]] = {}

    def document() -> Document:
        title, text = (" ".join(" ".join(parts.get(key, ())).split()) for key in ("T", "W"))
        return Document(name, text if text.startswith(title) else f"{title}\n{text}", start)

    for number, line in form.numbered_lines(path):
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


def _paragraphs(path: Path, form: TableFormat) -> Iterator[tuple[int, str]]:
    """Yields the paragraphs of a text file, which blank lines separate, each with its first line number."""
    start, lines = 0, list[str]()
    for number, line in form.numbered_lines(path):
        if line.strip():
            start = start or number
            lines.append(line.strip())
        elif lines:
            yield start, "\n".join(lines)
            start, lines = 0, []
    if lines:
        yield start, "\n".join(lines)

"""Reads documents and rows from Parquet files (extra `parquet`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kbert.errors import DataError, UsageError
from kbert.sources.document import Document, Reading

_TEXT_TYPES = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
"""The types of columns with text, by their names in pyarrow. Releases before 16 do not have the views."""
_ROWS = 256
"""The number of rows that are held at once."""


def read_parquet(path: str, reading: Reading) -> Iterator[Document]:
    """Yields the rows of a Parquet file as documents. Only the column with the text is read.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: The file is not Parquet or is damaged, or the column is missing or not text.
    """
    arrow = import_pyarrow(path)
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = _column(file.schema_arrow, reading.text_field, path)
            row = 0
            for batch in file.iter_batches(_ROWS, columns=[".".join(names)]):
                for value in _texts(arrow, batch, names):
                    row += 1
                    if value is None:
                        reading.bad_row(
                            DataError(
                                f"expected text in column {reading.text_field!r}. Row {row} holds null; leave such "
                                "rows out (--skip-bad), or name another column with --text-field",
                                path,
                                row,
                            )
                        )
                        continue
                    document = reading.document(value, path, row)
                    if document:
                        yield document
    except (arrow.ArrowException, OSError) as problem:
        if isinstance(problem, OSError) and problem.errno is not None:
            raise
        raise DataError(f"expected a Parquet file. Reading it failed: {problem}", path) from None


def read_rows(path: str) -> Iterator[dict[str, Any]]:
    """Yields the rows of a Parquet file with all columns. Dictionary-encoded columns are decoded.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: The file is not Parquet or is damaged.
    """
    arrow = import_pyarrow(path)
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS):
                yield from batch.to_pylist()
    except (arrow.ArrowException, OSError) as problem:
        if isinstance(problem, OSError) and problem.errno is not None:
            raise
        raise DataError(f"expected a Parquet file. Reading it failed: {problem}", path) from None


def import_pyarrow(path: str) -> Any:
    """Imports pyarrow, which reads Parquet.

    Args:
        path: The Parquet file that the error message names.

    Raises:
        UsageError: pyarrow is not installed.
    """
    try:
        import pyarrow
    except ImportError:
        raise UsageError(f"{path}: reading Parquet needs pyarrow: pip install 'kbert[parquet]'") from None
    return pyarrow


def _column(schema: Any, field: str, path: str) -> list[str]:
    """Returns the path of names to the column `field`: a name, "a.b" for the field b of the struct a, or a number.

    Raises:
        DataError: The column is missing, or is not text.
    """
    import pyarrow

    names = [field] if field in schema.names else field.split(".")
    if len(names) == 1 and field not in schema.names and field.isdecimal() and 1 <= int(field) <= len(schema.names):
        names = [schema.names[int(field) - 1]]
    kind: Any = pyarrow.struct(list(schema))
    for name in names:
        index = kind.get_field_index(name) if pyarrow.types.is_struct(kind) else -1
        if index < 0:
            found = ", ".join(f"{column.name!r} ({column.type})" for column in list(schema)[:10])
            raise DataError(
                f"expected a column {field!r} with the text. Received the columns {found}; name the column with the "
                "text with --text-field",
                path,
            )
        kind = kind.field(index).type
    if pyarrow.types.is_dictionary(kind):
        kind = kind.value_type
    if not any(getattr(pyarrow.types, f"is_{each}", lambda _: False)(kind) for each in _TEXT_TYPES):
        raise DataError(
            f"expected text in column {field!r}. Received values of type {kind}; name another with --text-field", path
        )
    return names


def _texts(arrow: Any, batch: Any, names: list[str]) -> list[bytes | None]:
    """Returns the values of the column as bytes, so that invalid UTF-8 is found in each row by itself."""
    import pyarrow.compute

    column = batch.column(names[0])
    for name in names[1:]:
        column = pyarrow.compute.struct_field(column, name)
    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    texts: list[bytes | None] = column.cast(arrow.large_binary()).to_pylist()
    return texts

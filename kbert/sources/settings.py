"""The settings for reading inputs as documents."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from kbert.options import Options, option, option_error, with_documented_fields
from kbert.sources.detection import FORMATS
from kbert.sources.table_format import QUOTINGS, TableFormat

SECTION = "Text"
"""The heading of these options in the help of commands."""
SEPARATORS = ("blank-line", "line")
"""The separators of documents in a text file."""
INVALID_UTF8 = ("fail", "skip")
DEDUPLICATIONS = ("none", "document", "line")

_text_option = functools.partial(option, section=SECTION)

_NEWER = ("skip_bad", "encoding", "delimiter", "quoting")


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceSettings(Options):
    """The settings for reading inputs. The documents depend only on the inputs and these settings.

    Example:
        >>> settings = kbert.SourceSettings(text_field="body", skip_bad=3)
        >>> settings.format, settings.skip_bad
        ('auto', 3)
        >>> kbert.SourceSettings(skip_bad=-1)
        Traceback (most recent call last):
            ...
        kbert.options.errors.OptionError: skip_bad must be at least 0. Received: skip_bad=-1
    """

    format: str = _text_option(
        "auto", "The format of the files; auto detects the format of each file.", choices=("auto", *FORMATS)
    )
    text_field: str = _text_option(
        "text",
        "The field or column with the text, in all formats except text; a.b is field b of field a.",
        details="In tables without a header, in Parquet files and in datasets it can be the 1-based number of the "
        "column.",
        expected="the name of a field",
        valid=bool,
    )
    document_separator: str = _text_option(
        "blank-line",
        "The end of a document in a text file: a blank line, or the end of each line.",
        choices=SEPARATORS,
    )
    invalid_utf8: str = _text_option(
        "fail",
        "What to do with lines, or rows of a table, that are not UTF-8: stop with an error, or skip and count them.",
        choices=INVALID_UTF8,
    )
    nfc: bool = _text_option(False, "Normalize text to the composed form of Unicode, NFC.")
    deduplicate: str = _text_option(
        "none", "Keep only the first of identical documents, or of identical lines.", choices=DEDUPLICATIONS
    )
    skip_bad: int = _text_option(
        0,
        "Skip and count up to N invalid rows of a file.",
        details="A row is invalid if it has no usable text (null or another type), or if it is not valid JSON or has a "
        "wrong number of cells.",
        minimum=0,
        metavar="N",
    )
    encoding: str = _text_option("utf-8", "The encoding of text files and tables, such as latin-1.")
    delimiter: str | None = _text_option(
        None, "The delimiter between the cells of a CSV or TSV file.", default_help="by the format"
    )
    quoting: str = _text_option(
        "auto",
        "Whether quotation marks enclose cells (csv) or are text (none); auto is csv for CSV files only.",
        choices=QUOTINGS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        # TableFormat checks these three, and resolves names such as "tab".
        form = TableFormat(self.delimiter, self.encoding, self.quoting)
        object.__setattr__(self, "delimiter", form.delimiter)
        if form.delimiter is not None and len(form.delimiter) > 1 and self.quoting != "none":
            raise option_error(
                lambda spell: (
                    f"beside quotation marks the delimiter must be one character. Received: {form.delimiter!r}; if the "
                    f"marks are text, give {spell('quoting', 'none')}"
                )
            )

    @property
    def is_wide(self) -> bool:
        """Whether the encoding encodes a line end as anything else than the single byte 10."""
        return "\n".encode(self.encoding) != b"\n"

    def facts(self) -> dict[str, Any]:
        """Returns the settings as JSON values for a manifest.

        Settings that older manifests do not have are left out if they have their default, so that manifests of the same
        settings remain equal.
        """
        fields = dataclasses.fields(SourceSettings)
        return {
            field.name: getattr(self, field.name)
            for field in fields
            if field.name not in _NEWER or getattr(self, field.name) != field.default
        }

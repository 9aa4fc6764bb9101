"""The options of masking personal data in files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kbert import files
from kbert.options import Options, option, option_error, with_documented_fields
from kbert.sources.table_format import QUOTINGS, TableFormat
from kbert.text.personal_data.catalogue import DETECTORS
from kbert.text.personal_data.replacement import REPLACEMENTS

FORMATS = ("auto", "text", "jsonl", "csv", "tsv")


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskPiiOptions(Options):
    """The options of `kbert.mask_pii`.

    Example:
        >>> options = kbert.MaskPiiOptions(output="masked.csv", columns=["body"])
        >>> options.replacement, options.detectors
        ('placeholder', ())
        >>> options.replace(salt_file="salt")
        Traceback (most recent call last):
            ...
        kbert.options.errors.OptionError: salt_file needs replacement='hash'. Received: replacement='placeholder'
    """

    output: files.PathLike = option(
        help="The file to write; for several files, the folder to write files of the same names to.",
        path="output",
    )
    columns: Sequence[str] = option(
        (),
        "A column, or a field of JSON lines, to mask; a.b is field b of field a. Others stay as they are.",
        details="In tables it can also be a 1-based number.",
        default_help="all columns, and all texts in JSON",
        flag="--column",
        metavar="NAME",
    )
    detectors: Sequence[str] = option(
        (),
        f"A kind of data to mask: {', '.join(DETECTORS)}.",
        default_help="all of them",
        flag="--detector",
        metavar="KIND",
        expected=f"some of {', '.join(DETECTORS)}",
        valid=lambda names: not isinstance(names, str) and set(names) <= DETECTORS.keys(),
    )
    tagger: files.PathLike | None = option(
        None, "A fine-tuned tagging model, whose spans (such as names and places) are masked, too.", path="model"
    )
    tagger_labels: Sequence[str] = option(
        (),
        "A label of the spans of `tagger` to mask.",
        default_help="all labels",
        flag="--tagger-label",
        metavar="LABEL",
    )
    replacement: str = option(
        "placeholder",
        "What replaces a value. placeholder: its kind, such as [EMAIL]; hash: also a keyed hash, such as "
        "[EMAIL_5d41402abc4b], which is the same wherever the value is the same.",
        choices=REPLACEMENTS,
    )
    salt_file: files.PathLike | None = option(
        None,
        "A file with the secret key of the hashes, at least 16 bytes. Who knows it can test guesses of values.",
        default_help="a new key in each run, which is not stored",
        path="file",
    )
    format: str = option("auto", "The format of the files; auto detects the format of each file.", choices=FORMATS)
    encoding: str = option("utf-8", "The encoding of the files, such as latin-1. The output is always UTF-8.")
    delimiter: str | None = option(
        None, "The delimiter between the cells of a CSV or TSV file.", default_help="by the format"
    )
    quoting: str = option(
        "auto",
        "Whether quotation marks enclose cells (csv) or are text (none); auto is csv for CSV files only.",
        choices=QUOTINGS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        TableFormat(self.delimiter, self.encoding, self.quoting)
        if self.salt_file is not None and self.replacement != "hash":
            raise option_error(
                lambda spell: (
                    f"{spell('salt_file')} needs {spell('replacement', 'hash')}. "
                    f"Received: {spell('replacement', self.replacement)}"
                )
            )
        if self.tagger_labels and self.tagger is None:
            raise option_error(
                lambda spell: (
                    f"{spell('tagger_labels', self.tagger_labels)} needs {spell('tagger')}. Received: no model"
                )
            )

    @property
    def table_format(self) -> TableFormat:
        """The format of the files, as far as it is given."""
        return TableFormat(self.delimiter, self.encoding, self.quoting, self.format)

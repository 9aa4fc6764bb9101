"""Masks personal data in files."""

from __future__ import annotations

import itertools
import logging
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from kbert import files
from kbert.errors import UsageError
from kbert.options import with_options
from kbert.privacy.options import MaskPiiOptions
from kbert.privacy.records import MaskableRecord, read_records
from kbert.privacy.tagger_spans import Tag, load_tagger
from kbert.text.personal_data.masker import Masker, describe_counts
from kbert.text.personal_data.replacement import Replace, keyed_hash, placeholder

_RECORDS_AT_ONCE = 256
"""The number of records that a tagger processes together."""
_SHORTEST_SALT = 16
_LOG = logging.getLogger("kbert")


@with_options(MaskPiiOptions)
def mask_pii(inputs: Sequence[files.PathLike], *, options: MaskPiiOptions) -> dict[str, int]:
    """Replaces personal data in files of text, JSON lines, CSV and TSV.

    Each file is written atomically, in UTF-8 and without compression. A JSON array is written as JSON lines. What no
    detector finds stays in the text, so the output is not anonymous; see docs/privacy.md.

    Args:
        inputs: Files (also .gz, .bz2, .xz, .zst), folders or globs.
        options: All of these options in one object.

    Returns:
        The number of replaced values by kind, such as {"email": 3}.

    Example:
        >>> kbert.mask_pii(["letters.txt"], output="masked.txt")
        {'email': 1, 'phone': 1}

    Raises:
        UsageError: An option is invalid, a file cannot be written, or two files have the same name.
        DataError: A file is unreadable, or has no such column.
    """
    paths = files.expand_inputs(inputs)
    targets = _targets(paths, Path(options.output))
    replace: Replace = placeholder if options.replacement == "placeholder" else keyed_hash(_salt(options.salt_file))
    masker = Masker(options.detectors, replace)
    tag = None if options.tagger is None else load_tagger(options.tagger, options.tagger_labels)
    for path, target in zip(paths, targets, strict=True):
        before = masker.counts.copy()
        records = read_records(path, options.table_format, options.columns)
        with files.atomic_file(target) as handle:
            for line in _masked(records, masker, tag):
                handle.write(line.encode("utf-8", "replace"))
        if len(paths) > 1:
            _LOG.info("%s: %s", target, describe_counts(masker.counts - before))
    return dict(sorted(masker.counts.items()))


def _masked(records: Iterator[MaskableRecord], masker: Masker, tag: Tag | None) -> Iterator[str]:
    while some := list(itertools.islice(records, _RECORDS_AT_ONCE)):
        texts = [text for record in some for text in record.texts]
        spans = [()] * len(texts) if tag is None else tag(texts)
        masked = iter([masker.masked(text, others) for text, others in zip(texts, spans, strict=True)])
        for record in some:
            yield record.written(list(itertools.islice(masked, len(record.texts))))


def _targets(paths: Sequence[Path], output: Path) -> list[Path]:
    """Returns the file to write for each file that is read."""
    if len(paths) == 1 and not output.is_dir():
        if files.is_compressed(output):
            raise UsageError(f"--output is written without compression. Received: {output}; leave {output.suffix} out")
        targets = [output]
    else:
        if output.exists() and not output.is_dir():
            raise UsageError(f"--output must be a folder for {len(paths)} files. Received: the file {output}")
        names = [path.stem if files.is_compressed(path) else path.name for path in paths]
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise UsageError(
                f"expected files with different names. Received: several with the name {repeated[0]}; mask them one "
                "by one, each with its own --output"
            )
        targets = [output / name for name in names]
    read = {path.resolve() for path in paths}
    same = next((target for target in targets if target.resolve() in read), None)
    if same is not None:
        raise UsageError(f"--output must not be a file that is read. Received: {same}; choose another --output")
    return targets


def _salt(path: files.PathLike | None) -> bytes:
    if path is None:
        return secrets.token_bytes(32)
    salt = Path(path).read_bytes().strip()
    if len(salt) < _SHORTEST_SALT:
        raise UsageError(
            f"--salt-file must hold at least {_SHORTEST_SALT} bytes, since a short key can be guessed. "
            f"Received: {path} with {len(salt)}; `openssl rand -hex 32` makes a key"
        )
    return salt

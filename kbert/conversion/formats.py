"""The list of formats: kbert's own, and those of other installed packages."""

from __future__ import annotations

import importlib.metadata
import logging
from pathlib import Path

from kbert.conversion.bundle_format import BundleFormat
from kbert.conversion.format import Format
from kbert.conversion.google import GoogleFormat
from kbert.conversion.keras_hub import KerasHubFormat
from kbert.conversion.model_garden import ModelGardenFormat
from kbert.errors import UsageError
from kbert.files import PathLike

BUNDLE = BundleFormat()
"""The format that models are converted to by default."""

FORMATS: tuple[Format, ...] = (BUNDLE, GoogleFormat(), ModelGardenFormat(), KerasHubFormat())
"""kbert's own formats, in the order in which they are tried when the format of a model is detected."""

ENTRY_POINTS = "kbert.formats"
"""The entry point group under which other packages register their formats."""

_LOG = logging.getLogger("kbert")


def all_formats() -> tuple[Format, ...]:
    """Returns kbert's own formats, followed by those of other packages.

    The format of a package is left out with a logged warning if importing it fails or if its name is already taken.
    """
    formats = {each.name: each for each in FORMATS}
    for point in sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        try:
            found = point.load()
            found = found() if isinstance(found, type) else found
            if not isinstance(found, Format):
                raise TypeError(f"expected a kbert.conversion.format.Format. Received: {type(found).__name__}")
            if found.name in formats:
                raise ValueError(f"there is a format {found.name} already")
        except Exception as problem:  # another package's code may raise anything, and must not stop kbert's own
            reason = " ".join(str(problem).split()) or type(problem).__name__
            _LOG.warning("the format %s (%s) is left out: %s", point.name, point.value, reason)
            continue
        formats[found.name] = found
    return tuple(formats.values())


def format_named(name: str, *, to_write: bool = False) -> Format:
    """Returns the format with a given name.

    Args:
        name: The name of the format.
        to_write: Whether the format must support writing.

    Raises:
        UsageError: There is no such format, or it does not support writing.
    """
    formats = [each for each in all_formats() if each.writes or not to_write]
    for each in formats:
        if each.name == name:
            return each
    way = "to" if to_write else "from"
    raise UsageError(f"models can be converted {way} {', '.join(each.name for each in formats)}. Received: {name}")


def find_format(source: PathLike, name: str | None = None) -> tuple[Format, Path]:
    """Finds a model and its format.

    Args:
        source: A folder, a file, or the prefix of several files.
        name: The name of the format; None tries all formats.

    Returns:
        The format, and the path from which it reads the model.

    Raises:
        UsageError: The model has no known format, or a folder holds several models.
    """
    path = Path(source)
    formats = all_formats() if name is None else (format_named(name),)
    for each in formats:
        place = each.find(path)
        if place is not None:
            return each, place
    wanted = list(dict.fromkeys(each.looks_like for each in formats))
    listed = " or ".join(wanted) if len(wanted) < 3 else f"{', '.join(wanted[:-1])}, or {wanted[-1]}"
    what = f"holds {'none of them' if len(wanted) > 1 else 'none'}" if path.exists() else "does not exist"
    raise UsageError(f"expected {listed}. {source} {what}")

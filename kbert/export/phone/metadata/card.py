"""The author and the license of a model, which its model card names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from kbert import files
from kbert.model_folder.file_names import CARD_FILE

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_LONGEST = 200
"""The number of characters above which a value is not a name."""


class CardFields(NamedTuple):
    """What a model card says of its model; texts are empty if it does not."""

    author: str = ""
    license: str = ""


def read_card(folder: files.PathLike) -> CardFields:
    """Returns the author and the license in the model card of a folder.

    They are the values of `author` and `license` in the lines between `---` at the beginning of README.md, as on the
    Hugging Face Hub. Values that are lists or span several lines are left out.

    Args:
        folder: The model folder.
    """
    path = Path(folder) / CARD_FILE
    if not path.is_file():
        return CardFields()
    match = _FRONT_MATTER.match(path.read_text("utf-8", "replace").removeprefix("\ufeff"))
    if match is None:
        return CardFields()
    front = match[1]
    return CardFields(_value(front, "author"), _value(front, "license"))


def _value(front: str, key: str) -> str:
    match = re.search(rf"^{key}:[ \t]+(.+?)[ \t]*\r?$", front, re.MULTILINE)
    if match is None or match[1][0] in "[{|>&*":
        return ""
    value = match[1]
    if value[0] in "\"'" and value[-1] == value[0] and len(value) > 1:
        value = value[1:-1]
    return value if len(value) <= _LONGEST else ""

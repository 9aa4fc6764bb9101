"""Model cards: their text, and the author and the licenses that they name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kbert import files
from kbert.errors import BundleError
from kbert.model_folder.file_names import CARD_FILE, SETTINGS_FILE

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_TABLE = "|---|---|\n"
_LONGEST = 200
"""The number of characters above which a value is not a name."""


class CardFields(NamedTuple):
    """What a model card says of its model; texts are empty if it does not."""

    author: str = ""
    license: str = ""


def describe_parameters(count: int) -> str:
    """Returns a number of parameters in readable form: 4,385,920 → "4.4M"."""
    return f"{count / 1e6:.1f}M"


def model_card(title: str, lines: Mapping[str, str], usage: str) -> str:
    """Returns a model card in Markdown.

    Args:
        title: The heading of the card.
        lines: The rows of the card's table: names and values.
        usage: The shell commands that show how the model is used.
    """
    rows = "".join(f"| {name} | {value} |\n" for name, value in lines.items())
    front = "---\nlibrary_name: kbert\ntags:\n- bert\n- kbert\n---\n"
    return f"{front}# {title}\n\n| | |\n|---|---|\n{rows}\n## Use\n\n```sh\n{usage.strip()}\n```\n"


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


def licenses_of(folder: files.PathLike) -> dict[str, Any]:
    """Returns the licenses of a model as far as they are known: "license", and the list "data_licenses".

    Those in kbert.json count first, and then the license in the model card.

    Args:
        folder: The model folder.

    Raises:
        BundleError: kbert.json is damaged.
    """
    path = Path(folder) / SETTINGS_FILE
    settings = files.read_json(path, BundleError) if path.is_file() else {}
    settings = settings if isinstance(settings, dict) else {}
    found: dict[str, Any] = {}
    license_ = settings.get("license") or read_card(folder).license
    if isinstance(license_, str) and license_:
        found["license"] = license_
    data = settings.get("data_licenses")
    if isinstance(data, list) and data:
        found["data_licenses"] = [str(each) for each in data]
    return found


def with_licenses(card: str, settings: Mapping[str, Any]) -> str:
    """Returns a model card of kbert with the licenses in its front matter and in its table.

    Args:
        card: The card, as `model_card` writes it.
        settings: The content of kbert.json, with "license" and "data_licenses" if they are known.
    """
    license_, data = settings.get("license"), settings.get("data_licenses")
    rows = f"| License | {_cell(license_)} |\n" if license_ else ""
    rows += f"| Licenses of the data | {_cell(', '.join(map(str, data)))} |\n" if data else ""
    if license_ and card.startswith("---\n"):
        card = f"---\nlicense: {json.dumps(str(license_), ensure_ascii=False)}\n{card[4:]}"
    return card.replace(_TABLE, _TABLE + rows, 1)


def _cell(text: Any) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _value(front: str, key: str) -> str:
    match = re.search(rf"^{key}:[ \t]+(.+?)[ \t]*\r?$", front, re.MULTILINE)
    if match is None or match[1][0] in "[{|>&*":
        return ""
    value = match[1]
    if value[0] in "\"'" and value[-1] == value[0] and len(value) > 1:
        value = value[1:-1]
    return value if len(value) <= _LONGEST else ""

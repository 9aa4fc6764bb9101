"""The paths of TensorFlow Serving's REST API."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse

from kbert.serving.model_server import Target
from kbert.serving.request_error import invalid

_MODEL = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:]+){_MODEL}:(?P<verb>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_MODEL}(?P<verb>/metadata)?", re.IGNORECASE)
_LARGEST_VERSION = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class Call:
    """What a request asks for."""

    verb: str
    """ "predict", "classify", "regress", "metadata" or "status"."""
    target: Target


def parse_path(method: str, raw_path: str) -> Call:
    """Returns what a request asks for.

    Args:
        method: The method of HTTP.
        raw_path: The path as it was sent: a name that contains a slash or a colon is escaped in it.

    Raises:
        RequestError: The API has no such path for this method.
    """
    pattern = {"POST": _POST, "GET": _GET, "HEAD": _GET}.get(method)
    match = None if pattern is None else pattern.fullmatch(raw_path)
    if match is None:
        raise invalid(f"Malformed request: {method} {raw_path:.200}")
    if match["name"] is None:
        raise invalid("Missing model name in request.")
    version = None if match["version"] is None else _version(match["version"])
    label = None if match["label"] is None else urllib.parse.unquote(match["label"])
    verb = match["verb"] or "status"
    # The paths match in any case, but TensorFlow Serving knows its verbs in small letters only.
    if method == "POST" and verb != verb.lower():
        raise invalid(f"Malformed request: {method} {raw_path:.200}")
    if method != "POST":
        verb = "metadata" if verb == "/metadata" else "status"
    return Call(verb, Target(urllib.parse.unquote(match["name"]), version, label))


def _version(digits: str) -> int:
    # Python refuses to convert thousands of digits.
    if len(digits.lstrip("0")) > 19 or int(digits.lstrip("0") or "0") > _LARGEST_VERSION:
        raise invalid(f"Failed to convert version: {digits:.40} to numeric.")
    return int(digits.lstrip("0") or "0")

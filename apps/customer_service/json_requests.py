"""Requests with JSON: what they must contain, and the errors of those that do not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MOST_BYTES = 16_384
"""The largest size of the body of a request."""
MOST_CHARACTERS = 1_000
"""The largest number of characters of a question."""
_SECONDS = 10.0
"""How long a client may take to send the body of a request."""


async def json_object(request: Request, types: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """Reads the JSON object in the body of a request.

    Args:
        request: The request.
        types: The types of the keys; a key that may be missing has the type of None as well.

    Returns:
        The values of all keys; None for those that are missing.

    Raises:
        HTTPException: The body is too large or too slow, is not JSON, or has other keys or types.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "expected the header Content-Type: application/json")
    try:
        body = await asyncio.wait_for(_body(request), _SECONDS)
    except asyncio.TimeoutError:
        raise HTTPException(408, f"expected the body of the request within {_SECONDS:.0f} seconds") from None
    except ClientDisconnect:
        raise HTTPException(400, "expected the whole body of the request. Received: a part") from None
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "expected JSON in UTF-8") from None
    if not isinstance(values, dict):
        raise HTTPException(400, f"expected a JSON object. Received: {_type_name(values)}")
    if unknown := sorted(values.keys() - types.keys()):
        raise HTTPException(400, f"expected the keys {', '.join(types)}. Received: {unknown[0]!a:.60}")
    found = {}
    for key, kinds in types.items():
        value = values.get(key)
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        if type(value) not in kinds:
            wanted = " or ".join(_TYPE_NAMES[kind] for kind in kinds)
            received = _type_name(value) if key in values else "no such key"
            raise HTTPException(400, f"expected {key}: {wanted}. Received: {received}")
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise HTTPException(400, f"expected {key}: a text in Unicode. Received: half of a surrogate pair")
        found[key] = value
    return found


def checked_question(text: str) -> str:
    """Returns a question without blanks around it.

    Raises:
        HTTPException: The question is empty or too long.
    """
    text = text.strip()
    if not text:
        raise HTTPException(400, "expected a question. Received: an empty text")
    if len(text) > MOST_CHARACTERS:
        raise HTTPException(
            400, f"expected a question of at most {MOST_CHARACTERS} characters. Received: {len(text)} characters"
        )
    return text


async def _body(request: Request) -> bytes:
    """Reads the body, and stops as soon as it is too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"expected a body of at most {MOST_BYTES} bytes. Received: more")
    return body


_TYPE_NAMES: Mapping[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def _type_name(value: Any) -> str:
    return _TYPE_NAMES[type(value)]

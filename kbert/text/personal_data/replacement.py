"""What stands in the text instead of personal data."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

REPLACEMENTS = ("placeholder", "hash")
_HASH_DIGITS = 12

Replace = Callable[[str, str], str]
"""A function that returns the replacement of a value, given the name of its kind and its canonical form."""


def placeholder(kind: str, value: str) -> str:
    """Returns the kind in square brackets.

    Args:
        kind: The name of the kind.
        value: The value, which the placeholder does not depend on.

    Example:
        >>> placeholder("chinese-id", "11010519491231002X")
        '[CHINESE_ID]'
    """
    return f"[{kind.upper().replace('-', '_')}]"


def keyed_hash(salt: bytes) -> Replace:
    """Returns a function that makes placeholders with a hash, which is the same for the same value.

    The hash is HMAC-SHA-256, cut to 48 bits. Who does not know the salt can not try all telephone numbers.

    Args:
        salt: The secret key.
    """

    def replace(kind: str, value: str) -> str:
        digest = hmac.new(salt, f"{kind}:{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return f"{placeholder(kind, value)[:-1]}_{digest[:_HASH_DIGITS]}]"

    return replace

"""A headline, and when it is the same as another one."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Headline:
    """A headline as it was read.

    Args:
        text: The text, without line breaks.
        time: When it was published, in seconds since 1970 (UTC).
        source: Who published it; "" if unknown.
    """

    text: str
    time: float
    source: str = ""

    @property
    def digest(self) -> str:
        """What headlines that are the same have in common.

        Two headlines are the same if their source and their text are, whatever their times. Spaces, capitals and the
        composition of characters do not count.
        """
        text = unicodedata.normalize("NFC", " ".join(self.text.split())).casefold()
        return hashlib.sha256(f"{self.source}\n{text}".encode("utf-8", "replace")).hexdigest()[:32]


@dataclass(frozen=True)
class Problem:
    """Something in a source that could not be read.

    Args:
        place: The file and the line, or the address of the feed.
        message: What was expected and what was received.
    """

    place: str
    message: str

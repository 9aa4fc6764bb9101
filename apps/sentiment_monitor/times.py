"""Times of headlines as files and feeds write them."""

from __future__ import annotations

import email.utils
import re
from datetime import datetime, timezone

EARLIEST = datetime(1990, 1, 1, tzinfo=timezone.utc).timestamp()
_MILLISECONDS = 1e11
"""Numbers above this are milliseconds; as seconds they would lie in the year 5138 or later."""


def parse_time(text: str) -> float:
    """Returns a time in seconds since 1970 (UTC).

    Args:
        text: A time as in ISO 8601 ("2026-05-01T10:00:00Z", "2026-05-01 10:00"), as in e-mails and RSS ("Fri, 01 May
            2026 10:00:00 GMT"), or as a number of seconds or milliseconds since 1970. A time without a zone is UTC.

    Raises:
        ValueError: It is none of these, or lies before 1990.

    Example:
        >>> parse_time("2026-05-01T10:00:00+02:00") == parse_time("Fri, 01 May 2026 08:00:00 GMT")
        True
    """
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d*)?", text) and len(text) >= 9:
        seconds = float(text)
        time = seconds / 1000 if seconds > _MILLISECONDS else seconds
    else:
        try:
            # Before Python 3.11, fromisoformat does not read the Z of UTC.
            moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
        except ValueError:
            try:
                moment = email.utils.parsedate_to_datetime(text)
            except (TypeError, ValueError, IndexError):
                raise ValueError(f"expected a time such as 2026-05-01T10:00:00Z. Received: {text[:50]!r}") from None
        time = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    if time < EARLIEST:
        raise ValueError(f"expected a time since 1990. Received: {text[:50]!r}")
    return time


def show_time(seconds: float) -> str:
    """Returns a time as people read it, in UTC, to the minute."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M")

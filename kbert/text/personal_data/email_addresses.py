"""E-mail addresses, and web addresses that contain the name of a user."""

from __future__ import annotations

import re

from kbert.text.personal_data.detector import Detector, matches

_LATIN = "A-Za-z0-9À-ÖØ-öø-ɏ"
"""Letters of names and domains. Chinese characters are not among them, since an address can follow them directly."""
_DOMAIN = (
    rf"(?:[{_LATIN}](?:[{_LATIN}-]{{0,61}}[{_LATIN}])?\.){{1,8}}(?:xn--[a-z0-9-]{{2,59}}|[A-Za-zÀ-ÖØ-öø-ɏ]{{2,24}})"
)
_ADDRESS = re.compile(
    rf"(?<![{_LATIN}._%+'-])[{_LATIN}](?:[{_LATIN}._%+'-]{{0,62}}[{_LATIN}_+-])?"
    rf"(?:@| ?[\[(] ?(?:at|AT|ät) ?[\])] ?){_DOMAIN}(?![{_LATIN}@])"
)
_GIT = re.compile(r":[\w.~/-]")
_URL = re.compile(r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/?#@<>\"']{1,200}@[^\s<>\"'，。；、）)]{1,2000}")


def _is_address(match: re.Match[str]) -> bool:
    """Returns whether an address is one of a person; git@host:path names a repository."""
    return not (match[0].startswith("git@") and _GIT.match(match.string, match.end()))


EMAIL = Detector(
    "email",
    "e-mail addresses, also with (at) instead of @",
    matches(_ADDRESS, _is_address),
    re.compile(r"@|[\[(] ?(?:at|AT|ät) ?[\])]"),
)
URL_WITH_USER = Detector("url", "web addresses with a user name", matches(_URL), re.compile("://"))

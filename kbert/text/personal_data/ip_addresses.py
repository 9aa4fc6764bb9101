"""Addresses of computers in the internet: IPv4 and IPv6."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from kbert.text.personal_data.detector import Detector, is_preceded_by

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_VERSION_4 = re.compile(rf"(?<![A-Za-z0-9.,$€£-]){_OCTET}(?:\.{_OCTET}){{3}}(?![A-Za-z0-9]|\.\d|,\d)")
_VERSION_6 = re.compile(
    r"(?<![A-Za-z0-9:.])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{6,39}(?:(?:\.\d{1,3}){3})?(?![A-Za-z0-9:])"
)
_NUMBERING = re.compile(
    r"(?:\b(?:versions?|ver|release|releases|section|sections|chapter|part|build|firmware|abschnitt|kapitel|v)\.?|§|版本|版|章|节|節)\W*$",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\bIP\b|\baddress|\bhost|\bserver|\bAdresse|地址", re.IGNORECASE)


def _find(text: str) -> Iterator[tuple[int, int]]:
    found = [match.span() for match in _VERSION_4.finditer(text) if _is_version_4(match)]
    found += [match.span() for match in _VERSION_6.finditer(text) if _is_version_6(match[0])]
    yield from sorted(found)


def _is_version_4(match: re.Match[str]) -> bool:
    """Returns whether four numbers are an address rather than the number of a version or a section."""
    if not _is_of_a_machine(match[0]) or is_preceded_by(_NUMBERING, match):
        return False
    # Numbers below ten, such as 1.2.3.4, are mostly those of versions and sections.
    return len(match[0]) > 8 or is_preceded_by(_NAMED, match)


def _is_version_6(value: str) -> bool:
    # Without a digit, it may be a name with "::" in a programming language.
    return any(map(str.isdigit, value)) and _is_of_a_machine(value)


def _is_of_a_machine(value: str) -> bool:
    """Returns whether an address is valid, and belongs to one machine, unlike 127.0.0.1 and 0.0.0.0."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


IP_ADDRESS = Detector(
    "ip", "IPv4 and IPv6 addresses, except those of the own machine", _find, re.compile(r"\d\.\d|:[0-9A-Fa-f:]")
)

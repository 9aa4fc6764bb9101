"""Telephone numbers: international ones, and those that are written in the United States, Germany and China."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kbert.text.personal_data.calling_codes import has_calling_code
from kbert.text.personal_data.detector import Detector, is_preceded_by

_START = r"(?<![A-Za-z0-9+_.,/=#$€£-])"
_BEFORE = rf"{_START}(?<!\d )(?<!\()"
_AFTER = r"(?![A-Za-z0-9_]|[-/.,:]\d|[ ]?[%°€$£])"
_EXTENSION = r"(?:[ ,]{0,2}(?:x|ext\.?|extension) ?\d{1,6})?"
_GAP = r"(?:[ .–/-]|[ ]?\(|\)[ -]?|[ ][-–][ ])"
"""What is between two groups of digits."""

_INTERNATIONAL = re.compile(
    r"(?<![A-Za-z0-9+])(?P<plus>\+|(?<!\d )00)"
    rf"(?P<digits>[1-9]\d{{0,3}}(?:{_GAP}?\(?\d+\)?){{1,8}}){_EXTENSION}(?![A-Za-z0-9_]|[.,]\d)"
)
_AMERICAN = re.compile(
    rf"{_START}(?:1[ .-])?(?:\([2-9]\d\d\)[ -]?|[2-9]\d\d(?P<mark>[ .-]))[2-9]\d\d(?(mark)(?P=mark)|[ .-])\d{{4}}"
    rf"{_EXTENSION}{_AFTER}"
)
_NATIONAL = re.compile(
    rf"(?:{_START}\(0[1-9]\d{{1,4}}\) ?|{_BEFORE}0[1-9]\d{{1,4}}{_GAP}?)\d+(?:[ -]\d+){{0,4}}{_AFTER}"
)
_CHINESE_MOBILE = re.compile(r"(?<![A-Za-z0-9.,+_-])(?:86[ -]?)?1[3-9]\d([ -]?)\d{4}\1\d{4}(?![A-Za-z0-9_]|[.,-]\d)")
_DIGITS = re.compile(rf"{_BEFORE}[1-9]\d{{6,11}}{_EXTENSION}{_AFTER}")

_IMPOSSIBLE = re.compile(r"1[01]")
"""The beginning that no number in North America has."""

_NAMED = re.compile(
    r"\b(?:tele)?(?:phone|fon|fax)|\btel\b|\bcall(?:ed|ing)?\b|\bcell\b|\bmobile?\b|\bhandy|\bruf\w*nummer|\brufen"
    r"|\bhotline|\bmy number|\bmeine nummer|\bwhatsapp\b|\bdial|\btext (?:me|us|him|her)\b|\breach\b|\bdurchwahl"
    r"|\berreich\w+|电话|電話|手机|手機|致电|拨打|联系|传真|我的号码",
    re.IGNORECASE,
)
_OTHER_NUMBER = re.compile(
    r"\b(?:ISBN|ISSN|EAN|DOI|PMID|PMC|OCLC|LCCN|NCT|ASIN|JSTOR|VIAF|arXiv|Bibcode|S2CID|patent\w*|No\.?|Nr\.?|ID)"
    r"(?:[- ]?1[03])?\W{0,3}$|编号\W?$|号\W?$",
    re.IGNORECASE,
)


def _digits(value: str) -> str:
    """Returns the digits of a number without its extension, and without the zero of "+49 (0) 30"."""
    value = re.split(r"[ ,]*(?:x|ext)", value, maxsplit=1)[0]
    return re.sub(r"\D", "", re.sub(r"(?<=\d) ?\(0\)", "", value))


def _has_both_parentheses(value: str) -> bool:
    return value.count("(") == value.count(")")


def _is_international(match: re.Match[str]) -> bool:
    digits = _digits(match["digits"])
    if not has_calling_code(digits) or not _has_both_parentheses(match[0]) or _IMPOSSIBLE.match(digits):
        return False
    if match["plus"] == "00" and is_preceded_by(_OTHER_NUMBER, match):
        return False
    # Sums and differences such as +1500 or 00 12 are short.
    return 8 <= len(digits) <= 15 and (match["plus"] == "+" or len(digits) >= 10)


def _is_national(match: re.Match[str]) -> bool:
    """Returns whether digits that begin with 0 are a number: with the area code, it has 9 to 12 digits."""
    digits = _digits(match[0])
    if not 9 <= len(digits) <= 12 or not _has_both_parentheses(match[0]) or is_preceded_by(_OTHER_NUMBER, match):
        return False
    return match[0] != digits or len(digits) >= 10 or is_preceded_by(_NAMED, match)


def _is_american(match: re.Match[str]) -> bool:
    if is_preceded_by(_OTHER_NUMBER, match):
        return False
    # Spaces alone separate the numbers of lists, too.
    return match["mark"] != " " or is_preceded_by(_NAMED, match)


def _find(text: str) -> Iterator[tuple[int, int]]:
    rules = (
        (_INTERNATIONAL, _is_international),
        (_AMERICAN, _is_american),
        (_CHINESE_MOBILE, lambda match: not is_preceded_by(_OTHER_NUMBER, match)),
        (_NATIONAL, _is_national),
        (_DIGITS, lambda match: is_preceded_by(_NAMED, match) and not is_preceded_by(_OTHER_NUMBER, match)),
    )
    found: list[tuple[int, int]] = []
    for pattern, accept in rules:
        for match in pattern.finditer(text):
            start, end = match.span()
            if accept(match) and all(end <= begun or ended <= start for begun, ended in found):
                found.append((start, end))
    yield from sorted(found)


PHONE = Detector(
    "phone",
    "telephone numbers: international, and as they are written in the United States, Germany and China",
    _find,
    re.compile(r"\d\d\d"),
    lambda value: re.sub(r"\D", "", value),
)

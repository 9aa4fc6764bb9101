"""Numbers of payment cards, whose last digit is a check digit (Luhn's algorithm, ISO/IEC 7812)."""

from __future__ import annotations

import re

from kbert.text.personal_data.detector import Detector, is_preceded_by, letters_and_digits, matches

_CANDIDATE = re.compile(r"(?<![A-Za-z0-9.,+_])(?<!\d[ -])\d(?:[ -]?\d){11,18}(?![A-Za-z0-9_]|[ -]\d|[.,]\d)")
_ISSUERS = (
    (re.compile(r"4"), (13, 16, 19)),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"3(?:0[0-5]|095|[689])"), (14, 16)),
    (re.compile(r"35(?:2[89]|[3-8])"), (16,)),
    (re.compile(r"1800|2131"), (15,)),
    (re.compile(r"6011|64[4-9]|65|62|81"), (16, 17, 18, 19)),
    (re.compile(r"5018|5020|5038|5893|6304|6759|676[123]|0604|6390"), range(12, 20)),
)
"""The first digits of the cards of each issuer, and their numbers of digits."""
_NAMED = re.compile(r"\bcards?\b|\bcredit|\bvisa\b|\bmaestro|karte|\b(?:paid|bezahlt?) |卡", re.IGNORECASE)
_OTHER_NUMBER = re.compile(r"\b(?:ISBN|ISSN|EAN|OCLC|GTIN|DOI|IMEI|VIAF|arXiv)\b\W*(?:1[03])?\W*$", re.IGNORECASE)


def passes_luhn(digits: str) -> bool:
    """Returns whether the last digit is the check digit of the others.

    Example:
        >>> passes_luhn("4111111111111111"), passes_luhn("4111111111111112")
        (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _is_card(match: re.Match[str]) -> bool:
    digits = letters_and_digits(match[0])
    groups = re.split("[ -]", match[0])
    if len(groups) > 1 and (len(groups) > 6 or min(map(len, groups[:-1])) < 3):
        return False  # cards are printed in groups of four to six digits; this is a list of numbers
    is_known = any(issuer.match(digits) and len(digits) in lengths for issuer, lengths in _ISSUERS)
    if not is_known and not is_preceded_by(_NAMED, match):
        return False
    return len(set(digits)) > 1 and passes_luhn(digits) and not is_preceded_by(_OTHER_NUMBER, match)


CARD = Detector(
    "card",
    "numbers of payment cards with a valid check digit",
    matches(_CANDIDATE, _is_card),
    re.compile(r"\d\d\d"),
    letters_and_digits,
)

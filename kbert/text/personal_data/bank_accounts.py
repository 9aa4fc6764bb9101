"""International numbers of bank accounts (IBAN, ISO 13616), with their check digits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kbert.text.personal_data.detector import Detector, letters_and_digits

_BEGIN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d\d(?=[ -]?[A-Z0-9]{2})")
_LENGTHS = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FK FI FO GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ DZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR",
        "27": "BF BI BJ DJ CI FR GR IT MC MR SM", "28": "AL AZ BY CY DO GT HN HU LB NI PL SN SV",
        "29": "BR EG PS QA UA", "30": "JO KW MU YE", "31": "MT SC", "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""The number of characters of an IBAN by country."""


def passes_mod_97(iban: str) -> bool:
    """Returns whether the check digits of an IBAN are right.

    Example:
        >>> passes_mod_97("DE89370400440532013000"), passes_mod_97("DE88370400440532013000")
        (True, False)
    """
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _find(text: str) -> Iterator[tuple[int, int]]:
    done = 0
    for begin in _BEGIN.finditer(text):
        length = _LENGTHS.get(begin[0][:2])
        if length is None or begin.start() < done:
            continue
        whole = re.compile(rf"[A-Z0-9](?:[ -]?[A-Z0-9]){{{length - 1}}}(?![A-Za-z0-9])").match(text, begin.start())
        if whole and passes_mod_97(letters_and_digits(whole[0])):
            done = whole.end()
            yield whole.span()


IBAN = Detector("iban", "IBANs with valid check digits", _find, _BEGIN, letters_and_digits)

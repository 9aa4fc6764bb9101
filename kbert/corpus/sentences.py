"""Sentence splitting by rules, for scripts that put spaces between sentences and for those that do not."""

from __future__ import annotations

import re
from collections.abc import Iterator

# After these marks a sentence ends whatever follows: Chinese and Japanese have no spaces, and the danda
# and the Arabic marks are not used in abbreviations.
_CLOSING = "\"'”’»)\\]」』）】》"
# Both begin at the first of several marks only, or a long run of them would be gone through again from each.
_HARD_END = f"(?<![。！？｡!?।؟۔…])[。！？｡!?।؟۔…]*[。！？｡।؟۔…][{_CLOSING}]*\\s*"
# After these only when white space and then a capital, a digit or an opening quote follow.
_SOFT_END = f"(?<![.!?])[.!?]+[{_CLOSING}]*\\s+"
_END = re.compile(f"(?P<hard>{_HARD_END})|(?P<soft>{_SOFT_END})")
_MARKS = re.compile("[。！？｡!?।؟۔….]")
"""What each end begins with."""
_OPENING = "\"'“‘«([「『（【《¿¡"

_ABBREVIATIONS = frozenset(
    """adm al approx apr aug ave bros brig ca capt cf cmdr co col corp dec dept dr ed eds eng esp est etc feb fig
    figs fl fr ft gen gov hon inc jan jr jul jun lt ltd maj mar messrs mr mrs ms mt no nos nov oct op pp pres
    prof pt pvt rep rev sen sep sept sgt sr st ste supt univ v viz vol vols vs""".split()
)


def split_sentences(text: str) -> Iterator[str]:
    """Yields the sentences of `text`, surrounding white space removed.

    A full stop after a known abbreviation or a single capital ("J. Smith", "U.S.") ends none.
    """
    start = end = 0
    # Searching for the marks alone is four times faster than searching for all that follows them.
    for mark in _MARKS.finditer(text):
        if mark.start() < end:
            continue
        match = _END.match(text, mark.start())
        if match is None:
            continue
        end = match.end()
        if match["soft"] is not None and not _is_soft_end(text, match.start(), end):
            continue
        sentence = text[start:end].strip()
        if sentence:
            yield sentence
        start = end
    rest = text[start:].strip()
    if rest:
        yield rest


def _is_soft_end(text: str, mark: int, end: int) -> bool:
    if end == len(text):
        return True
    following = text[end]
    if following.islower() or not (following.isalnum() or following in _OPENING):
        return False
    if text[mark] != ".":
        return True
    word = text[max(0, mark - 12) : mark].rsplit(None, 1)[-1:]
    if not word:
        return True
    last = word[0].lstrip(_OPENING).rsplit(".", 1)[-1]
    return not ((len(last) == 1 and last.isupper()) or last.lower() in _ABBREVIATIONS)

"""Splits text into sentences by rules for English, Chinese, Japanese and Korean, and a general rule for the rest.

A regular expression for each language finds the marks after which a sentence may end; then a few rules look at the
words before and after the mark. Unambiguous marks (。 । ؟ ።) always end a sentence. The stops of Latin, Cyrillic and
Hangul scripts end a sentence only before white space, and not within "Dr. Smith", "e.g. this" or "J. K. Rowling".
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence

from kbert.errors import UsageError

LANGUAGES = ("auto", "en", "zh", "ja", "ko", "general")
MODES = ("split", "lines")


@dataclasses.dataclass(frozen=True)
class SentenceSettings:
    """The settings for splitting lines into sentences.

    Args:
        mode: "split" splits each line into sentences, "lines" treats each line as a sentence.
        language: The language whose rules apply, one of LANGUAGES; "auto" detects it for each document.

    Raises:
        UsageError: A setting is invalid.
    """

    mode: str = "split"
    language: str = "auto"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError(f"sentences must be one of {', '.join(MODES)}. Received: {self.mode!r}")
        if self.language not in LANGUAGES:
            raise UsageError(f"language must be one of {', '.join(LANGUAGES)}. Received: {self.language!r}")


def document_sentences(lines: Sequence[str], settings: SentenceSettings) -> list[str]:
    """Returns the sentences of a document's lines without surrounding white space; each line ends a sentence."""
    if settings.mode == "lines":
        return [sentence for line in lines if (sentence := line.strip())]
    language = settings.language
    if language == "auto":
        language = detect_language(lines)
    rule = _rule(language)
    return [sentence for line in lines for sentence in _split(line, rule)]


def split_sentences(text: str, language: str = "auto") -> list[str]:
    """Returns the sentences of `text` without surrounding white space."""
    return document_sentences([text], SentenceSettings(language=language))


# === Language detection ===

_DETECTION_LENGTH = 300
"""The number of characters at the beginning of a document that language detection reads."""
_SCRIPT_LENGTH = 120
"""The number of characters at the beginning that are counted by script."""
_HAN = "\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3041-\u30ff\uff66-\uff9f"
_HANGUL = "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"
_ANY_CJK = re.compile(f"[{_HAN}{_KANA}{_HANGUL}]")
_COUNTED = tuple(re.compile(f"[{script}]+") for script in (_HAN, _KANA, _HANGUL))
_LETTER = re.compile(r"[^\W\d_]+")
_ENGLISH = tuple(f" {word} " for word in "the of and to is was are for from with by that it he she his".split())
"""Frequent short words that are rare in other languages."""


def detect_language(lines: Sequence[str]) -> str:
    """Detects the language of a document from its first characters: "en", "zh", "ja", "ko" or "general".

    Chinese, Japanese and Korean are detected by their scripts if these are at least a fifth of the letters (names and
    terms are often Latin); English is detected by frequent short words.
    """
    head = (
        " ".join(lines[:4])[:_DETECTION_LENGTH] if len(lines[0]) < _DETECTION_LENGTH else lines[0][:_DETECTION_LENGTH]
    )
    if not head.isascii() and _ANY_CJK.search(head):
        head = head[:_SCRIPT_LENGTH]
        han, kana, hangul = (len("".join(script.findall(head))) for script in _COUNTED)
        if 5 * (han + kana + hangul) > len("".join(_LETTER.findall(head))):
            if hangul > han + kana:
                return "ko"
            return "ja" if 10 * kana > han + kana else "zh"
    words = f" {head.lower()} "
    return "en" if 90 * sum(map(words.count, _ENGLISH)) > len(head) else "general"


# === Marks ===

# Marks that only end sentences: Unicode's Sentence_Terminal without the marks of Latin script, and with the full-width
# forms of ! and ?.
_HARD = (
    "。｡！？\u037e\u0589\u061d\u061e\u061f\u06d4\u0700-\u0702\u07f9\u0837\u0839\u083d\u083e\u0964\u0965\u104a\u104b\u1362\u1367"
    "\u1368\u166e\u1735\u1736\u17d4\u17d5\u1803\u1809\u1944\u1945\u1aa8-\u1aab\u1b5a\u1b5b\u1c3b\u1c3c\u1c7e\u1c7f\ua4ff"
    "\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8\ua9c9\uaa5d-\uaa5f\uaaf0\uaaf1\uabeb"
)
_SOFT = ".!?…‼‽⁇⁈⁉"
_CLOSING = "\"'”’»›)\\]}」』）】》〉〕］"
_OPENING = "\"'“‘„‚«‹(\\[{「『（【《〈¿¡"


def _expression(hard: str, soft: str, extra: str = "") -> re.Pattern[str]:
    """Returns a regular expression that matches ends of sentences, including the white space after them.

    A match begins only at the first of several marks, since otherwise a long run of marks takes quadratic time.

    Args:
        hard: The marks that always end a sentence.
        soft: The marks that end a sentence only before white space, which is group 1 of the match.
        extra: Another alternative for the end of the expression.
    """
    marks = soft + hard
    at_once = f"(?<=[{hard}])[{_CLOSING}]*\\s*|" if hard else ""
    return re.compile(
        f"[{marks}](?<![{marks}][{marks}])[{marks}]*(?:"
        f"{at_once}(?:[{_CLOSING}“‘«]|\\[\\d+\\]|[ \xa0\u202f]»)*(\\s+){extra})"
    )


# === Rules for marks that do not end a sentence ===

_TITLES = frozenset(
    """adm brig capt cmdr col comdr cpl dr fr gen gov hon lt maj messrs mlle mme mr mrs ms mt mx pres prof pvt rep
    rev sen sgt sra supt ven cf ca vs viz approx resp esp incl feat dott ing mag e.g i.e eg ie""".split()
)
"""Abbreviations that never end a sentence, since a name or a number follows."""
_BEFORE_NUMBERS = frozenset(
    """no nos nr vol vols p pp pg fig figs art arts sec ch chap op eq eqs tab ser bd st c fl r jan feb mar apr jun jul
    aug sep sept oct nov dec""".split()
)
"""Abbreviations that do not end a sentence if a number follows."""
_PERHAPS = frozenset(
    """inc ltd co corp llc plc bros jr sr etc al ed eds dept est ave blvd rd sq st ste ft univ assn assoc intl natl mfg
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun ph""".split()
)
"""Abbreviations that end a sentence if the next word is one of _STARTERS."""
_STARTERS = frozenset(
    """a after all also although an and another are as at because before but by did do does during each even every few
    for from had has have he her here his how however i if in is it its later many meanwhile more most my no not now on
    once one only other others our she since so some such that the their then there these they this those though thus
    to today two under until upon was we were what when where which while who why with would yet you your""".split()
)
"""Words that often begin a sentence."""
_ABBREVIATIONS = _TITLES | _BEFORE_NUMBERS | _PERHAPS
_EUROPEAN = frozenset(
    """bzw ca d.h dr hl hr fr nr prof s sog sr st str usw u.a vgl z.b zb м г гг им ул св см т.д т.п т.е тыс млн млрд
    руб стр""".split()
)

_Rule = tuple[re.Pattern[str], Callable[[str, int, int, int, int], bool]]
"""An expression that matches possible ends of sentences, and a function that returns whether the sentence continues
nevertheless. It is called with the text and the indices of the sentence's start, the mark, the white space after it,
and the next sentence."""


def _split(text: str, rule: _Rule) -> list[str]:
    expression, goes_on = rule
    if text.isascii():
        expression = _ASCII
    sentences = []
    start = 0
    for match in expression.finditer(text):
        space = match.start(1)
        end = match.end()
        if space >= 0 and end < len(text) and goes_on(text, start, match.start(), space, end):
            continue
        sentence = text[start:end].strip()
        if sentence:
            sentences.append(sentence)
        start = end
    if start < len(text):
        sentence = text[start:].strip()
        if sentence:
            sentences.append(sentence)
    return sentences


_FOLLOWING = re.compile(f"[{_OPENING}]*([^\\W_]+)")
_PRECEDING = re.compile(f"[^\\s{_OPENING}/–—-]*$")
_LONGEST_WORD = 24
"""The number of characters before a mark that are searched for a word."""


def _english_goes_on(text: str, start: int, mark: int, space: int, end: int) -> bool:
    following = text[end]
    if not following.isalnum():
        found = _FOLLOWING.match(text, end)
        if not found:
            return True
        following = found[1]
    if following[0].islower():
        return True
    if space - mark > 1 or text[mark] != ".":
        return False
    word = text[text.rfind(" ", start, mark) + 1 : mark]
    if len(word) > 1 and word.isalpha() and word.lower() not in _ABBREVIATIONS:
        return False  # the most frequent case, handled before the slower rules below
    word, following = _words_around(text, mark, end)
    lower = word.lower()
    if lower in _TITLES:
        return True
    if lower in _BEFORE_NUMBERS and _is_number(following):
        return True
    if lower in _PERHAPS or _is_initials(word):
        return following.lower() not in _STARTERS
    return _is_numbering(text, start, mark)


def _general_goes_on(text: str, start: int, mark: int, space: int, end: int) -> bool:
    word, following = _words_around(text, mark, end)
    if not following or following[0].islower():
        return True
    if space - mark > 1 or text[mark] != ".":
        return False
    lower = word.lower()
    return (
        lower in _TITLES
        or lower in _EUROPEAN
        or (lower in _BEFORE_NUMBERS and _is_number(following))
        or _is_initials(word)
        # "am 3. Oktober", "19. Jahrhundert"
        or (len(word) <= 2 and word.isdecimal() and following.lower() not in _STARTERS)
        or _is_numbering(text, start, mark)
    )


def _cjk_goes_on(text: str, start: int, mark: int, space: int, end: int) -> bool:
    """Decides about ASCII stops in Chinese, Japanese and Korean: sentences continue after numbers and abbreviations."""
    word, following = _words_around(text, mark, end)
    word = word[len(word.rstrip(_ASCII_CHARACTERS)) :]  # "U.S" in 他在U.S. Army
    if not following or (following[0].islower() and following[0].isascii()):
        return True
    if space - mark > 1 or text[mark] != ".":
        return False
    return (
        word.lower() in _TITLES
        or _is_initials(word)
        or (word.isdecimal() and (following[0].isdigit() or len(word) <= 2))
        or _is_numbering(text, start, mark)
    )


_ASCII_CHARACTERS = "".join(map(chr, range(33, 127)))


def _words_around(text: str, mark: int, end: int) -> tuple[str, str]:
    """Returns the words before and after a mark, without opening brackets and quotation marks; "" if there is none."""
    before = _PRECEDING.search(text[max(0, mark - _LONGEST_WORD) : mark])
    after = _FOLLOWING.match(text, end)
    return before[0] if before else "", after[1] if after else ""


def _is_number(word: str) -> bool:
    return word[0].isdigit() or set(word) <= set("IVXLC")


def _is_initials(word: str) -> bool:
    """Returns whether a word is a single capital, or letters separated by stops: J, U.S, J.R.R, p.m, Ph.D."""
    if len(word) == 1:
        return word.isupper()
    return "." in word and all(len(part) <= 2 and part.isalpha() for part in word.split("."))


def _is_numbering(text: str, start: int, mark: int) -> bool:
    """Returns whether a sentence so far is only a number, as in "1. Introduction", "II. History", "a. First"."""
    so_far = text[start:mark].strip()
    return len(so_far) <= 4 and (so_far.isdecimal() or len(so_far) == 1 or set(so_far) <= set("IVX"))


def _cjk_expression(particles: str = "") -> re.Pattern[str]:
    """Returns an expression like that of `_expression` for Chinese and Japanese.

    Ellipses, and ASCII marks without a space, end sentences too. No sentence ends before a comma or a stop, nor within
    a title (《你好吗？》), nor before one of `particles`, which continue a sentence after a quotation
    (「…。」と言った).
    """
    hard = _HARD + "…‼⁇⁈⁉"
    marks = ".!?．" + hard
    closing = _CLOSING.replace("》", "")
    no_more = f"(?![{closing}{marks}》，、,；：])"
    no_particle = f"(?![{particles}])" if particles else ""
    return re.compile(
        f"[{marks}](?<![{marks}][{marks}])[{marks}]*(?:"
        f"(?:(?<=[{hard}])|(?<=[!?])(?=[{closing}]*[{_HAN}{_KANA}])|(?<=．)(?![0-9０-９]))"
        f"(?:[{closing}]+{no_more}{no_particle}|{no_more})\\s*"
        f"|[{closing}]*(\\s+))"
    )


# A faster expression for text that is all ASCII.
_ASCII = _expression("", ".!?", "")


@functools.cache
def _rule(language: str) -> _Rule:
    """Returns the rule for a language. Compiling its expression takes some milliseconds, so it is done on first use."""
    if language in ("zh", "ja"):
        return _cjk_expression("とっのがをにはもでだ" if language == "ja" else ""), _cjk_goes_on
    if language == "ko":
        # Korean separates sentences by spaces; if a space is missing, verb endings mark the end of a sentence.
        return _expression(_HARD, _SOFT, "|(?<=[다요죠까네][.!?])(?=[\uac00-\ud7a3])"), _cjk_goes_on
    return _expression(_HARD, _SOFT), _english_goes_on if language == "en" else _general_goes_on

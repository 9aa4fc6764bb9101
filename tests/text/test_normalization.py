import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbert.text.normalization import Normalizer
from kbert.text.replacement_table import is_cased, is_cjk, is_dropped, is_final_sigma, is_punctuation, is_whitespace

# Characters that one of the rules is about, drawn as often as all others.
SPECIAL = "aB ΣσςİßéÅ中か가ǅ'\u2019.:-_$\u0301\u0345\uf900\u1ffc\u037e\u1fef\ufffd"
SPECIAL += "\0\t\r\n\x0b\x85\xa0\u00ad\u200d\u2028\u2029\u3000"
TEXT = st.text(st.one_of(st.sampled_from(SPECIAL), st.characters(exclude_categories=["Cs"])), max_size=30)


def original_words(text, lowercase):
    """tokenization.py of google-research/bert, one step after the other over the whole text."""

    def category(c):
        return unicodedata.category(c)

    cleaned = ""
    for c in text:
        if c in "\0\ufffd" or (c not in "\t\n\r" and category(c) in ("Cc", "Cf")):
            continue
        cleaned += " " if c in " \t\n\r" or category(c) == "Zs" else c
    cleaned = "".join(f" {c} " if is_cjk(ord(c)) else c for c in cleaned)
    words = []
    for token in cleaned.split():
        if lowercase:
            token = "".join(c for c in unicodedata.normalize("NFD", token.lower()) if category(c) != "Mn")
        words += "".join(f" {c} " if is_punctuation(c) else c for c in token).split()
    return words


@pytest.mark.parametrize(
    ("text", "uncased", "cased"),
    [
        ("The CAT's mat.", ["the", "cat", "'", "s", "mat", "."], ["The", "CAT", "'", "s", "mat", "."]),
        ("Straße", ["straße"], ["Straße"]),  # lower(), not casefold()
        ("Café e\u0301té", ["cafe", "ete"], ["Café", "e\u0301té"]),
        ("İstanbul", ["istanbul"], ["İstanbul"]),
        ("[MASK]", ["[", "mask", "]"], ["[", "MASK", "]"]),
        ("a中国b", ["a", "中", "国", "b"], ["a", "中", "国", "b"]),
        ("カタ가 가", ["カタ\u1100\u1161", "\u1100\u1161"], ["カタ가", "가"]),
        ("a\u2028b\u2029c\u3000d\xa0e", [*"abcde"], [*"abcde"]),
        ("a\0b\ufffdc\u200dd\xade\x7ff\x0bg", ["abcdefg"], ["abcdefg"]),
        ("a$b^c`d|e", [*"a$b^c`d|e"], [*"a$b^c`d|e"]),
        ("5\u00d74 \u20ac2", ["5\u00d74", "\u20ac2"], ["5\u00d74", "\u20ac2"]),  # symbols, no punctuation
        ("\u037e", [";"], ["\u037e"]),  # the Greek question mark decomposes to a semicolon
        ("", [], []),
        (" \t\r\n\0", [], []),
    ],
)
def test_words_of_cased_and_uncased_text(text, uncased, cased):
    assert Normalizer(lowercase=True).words(text) == uncased
    assert Normalizer(lowercase=False).words(text) == cased


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ΟΔΟΣ", ["οδος"]),
        ("ΣΟΣ ΣΣ Σ", ["σος", "σς", "σ"]),
        ("ΟΔΟΣ.", ["οδος", "."]),
        ("ΟΔΟΣ.Α", ["οδοσ", ".", "α"]),  # a full stop is case-ignorable, so the word goes on
        ("Σ.Σ", ["σ", ".", "ς"]),
        ("ΑΣ\u200dΑ", ["ασα"]),  # what cleaning drops does not end a word
        ("Α\u00adΣ", ["ας"]),
        ("ΑΣ\ufffd\x01Α Α\0Σ", ["ασα", "ας"]),
        ("ΑΣ中", ["ας", "中"]),  # what cleaning spaces out does
        ("ΑΣ\u2028Α", ["ας", "α"]),
        ("İΣ ΑΣ", ["ις".replace("ι", "i"), "ας"]),  # İ is longer in lower case
    ],
)
def test_final_sigma(text, words):
    assert Normalizer(lowercase=True).words(text) == words == original_words(text, lowercase=True)


@given(TEXT, st.booleans())
def test_words_are_the_originals(text, lowercase):
    normalizer = Normalizer(lowercase)
    words = normalizer.words(text)
    assert words == original_words(text, lowercase)
    assert [word.text for word in normalizer.words_with_sources(text)] == words


def test_words_know_the_places_of_their_characters():
    assert Normalizer(lowercase=True).words_with_sources(" E\u0301\u200dÀ!") == [
        ("ea", [1, 4], [2, 5]),
        ("!", [5], [6]),
    ]
    # One character that becomes two comes from one place.
    assert Normalizer(lowercase=True).words_with_sources("가b") == [("\u1100\u1161b", [0, 0, 1], [1, 1, 2])]


def test_all_characters_have_one_role():
    """White space, dropped and the rest: over all of Unicode, against the categories they are made of."""
    for code_point in range(0x110000):
        c = chr(code_point)
        category = unicodedata.category(c)
        if c in "\t\n\r":
            assert is_whitespace(c)
            assert not is_dropped(c)
        else:
            assert is_whitespace(c) == (category[0] == "Z")
            assert is_dropped(c) == (category in ("Cc", "Cf") or c == "\ufffd")
        if code_point >= 128:
            assert is_punctuation(c) == (category[0] == "P")
    assert "".join(c for c in map(chr, range(127)) if is_punctuation(c)) == "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def test_final_sigma_is_pythons():
    for word in ("ΑΣ", "ΑΣΑ", "Σ", "ΑΣ.Α", "Α.Σ", ".Σ", "ΑΣ1", "1Σ", "ΑΣ'", "ΑΣΣ", "ǅΣ"):
        for position, c in enumerate(word):
            if c == "Σ":
                assert is_final_sigma(word, position) == (word.lower()[position] == "ς"), word
    assert [is_cased(c) for c in "aAǅª1.中"] == [True, True, True, True, False, False, False]

import pytest

from kbert.text.mediapipe_table import MediaPipeTable
from kbert.text.normalization import Normalizer, table_of
from kbert.text.replacement_table import ReplacementTable
from kbert.text.settings import TokenizerSettings


def words(text):
    return Normalizer(True, table=MediaPipeTable()).words(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The CAT's", ["the", "cat", "'", "s"]),
        ("Kandó PEÑA Éa", ["kandó", "peÑa", "Éa"]),  # only A to Z are lower-cased, and accents are kept
        ("ΟΔΥΣΣΕΥΣ", ["ΟΔΥΣΣΕΥΣ"]),
        ("12\xa0February", ["12\xa0february"]),  # a no-break space is part of a word
        ("a\tb\nc\rd\x0ce", ["a", "b", "c", "d", "e"]),
        ("a\x0bb\x1cc\x85d\u2028e\u3000f", ["a\x0bb\x1cc\x85d\u2028e\u3000f"]),
        ("a\u200db\u00adc\ufffd", ["a\u200db\u00adc\ufffd"]),
        ("a\x7fb", ["a\x7fb"]),  # BERT takes it for punctuation
        ("a\u2019b\u3002$~", ["a", "\u2019", "b", "\u3002", "$", "~"]),
        ("a\U00011f4fb", ["a", "\U00011f4f", "b"]),  # punctuation since Unicode 15
        ("a\u1b7fb", ["a", "\u1b7f", "b"]),  # punctuation since Unicode 16
        ("中a国カタ", ["中", "a", "国", "カタ"]),
        ("a b\0c d", ["a", "b"]),  # a C string ends there
        ("\0a", []),
        ("", []),
    ],
)
def test_words_are_those_of_mediapipe(text, expected):
    assert words(text) == expected
    found = Normalizer(True, table=MediaPipeTable()).words_with_sources(text)
    assert [word.text for word in found] == expected
    for word in found:
        taken = "".join(text[start:end] for start, end in zip(word.starts, word.ends, strict=True))
        assert taken.casefold() == word.text.casefold()


def test_settings_choose_the_table():
    assert type(table_of(TokenizerSettings())) is ReplacementTable
    assert type(table_of(TokenizerSettings(normalization="mediapipe"))) is MediaPipeTable

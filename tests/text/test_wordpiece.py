import pytest

from kbert.text import wordpiece
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from kbert.text.wordpiece import WordPiece


@pytest.mark.parametrize(
    ("word", "pieces"),
    [
        ("cat", [("cat", 0)]),
        ("cats", [("cat", 0), ("##s", 3)]),
        ("unaffable", [("un", 0), ("##aff", 2), ("##able", 5)]),
        ("matted", [("[UNK]", 0)]),  # mat ##... but no ##t: the whole word is unknown
        ("fastfast", [("[UNK]", 0)]),
        ("ssss", [("[UNK]", 0)]),
        ("cat" + "s" * 197, [("cat", 0)] + [("##s", i) for i in range(3, 200)]),
        ("cat" + "s" * 198, [("[UNK]", 0)]),  # 201 characters
        ("", []),
    ],
)
def test_pieces(vocabulary, word, pieces):
    assert [(vocabulary[i], start) for i, start in WordPiece(vocabulary).pieces(word)] == pieces


def test_takes_the_longest_piece_and_never_goes_back():
    wordpiece_ = WordPiece(Vocabulary([*SPECIAL_TOKENS, "a", "ab", "##b", "##c", "##bc"]))
    assert [i for i, _ in wordpiece_.pieces("abc")] == [6, 8]  # ab ##c, though a ##bc is possible
    assert [i for i, _ in wordpiece_.pieces("abbc")] == [6, 9]
    greedy = WordPiece(Vocabulary([*SPECIAL_TOKENS, "a", "ab", "##bc"]))
    assert [i for i, _ in greedy.pieces("abc")] == [1]


def test_ids_are_the_same_from_the_cache_and_past_its_bound(vocabulary, monkeypatch):
    monkeypatch.setattr(wordpiece, "_CACHED_WORDS", 1)
    wordpiece_ = WordPiece(vocabulary)
    for _ in range(2):
        assert wordpiece_.ids(["cats", "xyz", "unaffable", "cats"]) == [7, 15, 1, 17, 18, 19, 7, 15]
    assert len(wordpiece_._cache) == 1

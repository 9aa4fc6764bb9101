import pytest
import tensorflow as tf

from kbert.text.graph.token_search import RegexSearch, TrieSearch

CONTENTS = ["ab", "abcd", "bcde", "cd", "aa", "é+", "中"]


@pytest.mark.parametrize("search", [RegexSearch, TrieSearch])
@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["abcde"], [(0, 4, "abcd")]),
        (["abcabcde"], [(0, 2, "ab"), (3, 7, "abcd")]),
        (["aaaaa", "a"], [(0, 2, "aa"), (2, 4, "aa")]),
        (["xa", "b", "", "中é+\0cd"], [(3, 4, "中"), (4, 6, "é+"), (7, 9, "cd")]),
        (["bcd", "e"], [(1, 3, "cd")]),
        ([""], []),
        ([], []),
    ],
)
def test_the_leftmost_and_then_the_longest_within_a_row(search, texts, expected):
    characters = tf.strings.unicode_decode(tf.constant(texts, tf.string), "UTF-8")
    matches = search(CONTENTS)(characters)
    found = zip(*(part.numpy().tolist() for part in matches), strict=True)
    assert [(start, end, CONTENTS[place]) for start, end, place in found] == expected

import pytest
import tensorflow as tf

from kbert.text.graph.trie import CodePointTrie


def longest(trie, text, *, limits=None, roots=None):
    characters = tf.constant([ord(character) for character in text], tf.int32)
    limits = tf.constant([len(text)] * len(text) if limits is None else limits, tf.int32)
    roots = tf.zeros_like(characters) if roots is None else tf.constant(roots)
    lengths, values = trie.longest(characters, limits, roots)
    return lengths.numpy().tolist(), values.numpy().tolist()


def test_the_longest_key_at_each_character():
    trie = CodePointTrie([{"a": 4, "abc": 7, "b": 0, "\U0010ffff\0": 2}])
    assert longest(trie, "abcaab\U0010ffff\0x") == ([3, 1, 0, 1, 1, 1, 2, 0, 0], [7, 0, -1, 4, 4, 0, 2, -1, -1])
    assert longest(trie, "") == ([], [])


def test_a_key_ends_before_the_limit():
    trie = CodePointTrie([{"ab": 1, "abab": 2}])
    assert longest(trie, "ababab", limits=[3] * 3 + [6] * 3) == ([2, 0, 0, 0, 2, 0], [1, -1, -1, -1, 1, -1])


def test_each_root_has_keys_of_its_own():
    trie = CodePointTrie([{"ab": 1}, {"a": 2, "b": 3}])
    assert longest(trie, "abab", roots=[0, 0, 1, 1]) == ([2, 0, 1, 1], [1, -1, 2, 3])


@pytest.mark.parametrize("keys", [[{}], [{"": 3}], [{}, {"": 1}]])
def test_a_trie_without_keys_finds_nothing(keys):
    assert longest(CodePointTrie(keys), "ab") == ([0, 0], [-1, -1])

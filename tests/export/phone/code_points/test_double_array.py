import numpy as np
import pytest
import tensorflow as tf

from kbert.export.phone.code_points.double_array import DoubleArray, look_up, narrow


def find(trie, classes, *, roots=None, further=None):
    classes = tf.constant(classes, tf.int32)
    roots = trie.roots[0] if roots is None else tf.constant([trie.roots[root] for root in roots])
    nodes = trie.find(roots, classes, classes if further is None else tf.constant(further, tf.int32))
    return trie.lengths(nodes).numpy().tolist(), trie.values(nodes).numpy().tolist()


def test_the_longest_key_at_each_position():
    trie = DoubleArray([{(1,): 4, (1, 2, 3): 7, (2,): 9, (900, 1): 2}])
    assert trie.longest == 3
    # At the second 1, the path to (1, 2, 3) ends at (1, 2), so that (1,) is the longest key.
    assert find(trie, [1, 2, 3, 1, 2, 900, 1, 5]) == ([3, 1, 0, 1, 1, 2, 1, 0], [7, 9, 0, 4, 9, 2, 4, 0])


def test_each_root_has_keys_of_its_own():
    trie = DoubleArray([{(1, 2): 1}, {(1,): 2, (2,): 3}])
    assert find(trie, [1, 2, 1, 2], roots=[0, 0, 1, 1]) == ([2, 0, 1, 1], [1, 0, 2, 3])


def test_a_search_does_not_read_where_another_one_must_begin():
    trie = DoubleArray([{(1, 2): 1, (2,): 2, (1,): 3}])
    assert find(trie, [1, 2, 1, 2], further=[1, 0, 1, 2]) == ([1, 1, 2, 1], [3, 2, 1, 2])


@pytest.mark.parametrize("keys", [[{}], [{}, {}]])
def test_a_trie_without_keys_finds_nothing(keys):
    assert find(DoubleArray(keys), [1, 2]) == ([0, 0], [0, 0])


@pytest.mark.parametrize("classes", [3, 40, 5000])
def test_random_keys_are_found_as_by_comparing_all(classes):
    rng = np.random.default_rng(classes)
    keys = [
        {tuple(rng.integers(1, classes, rng.integers(1, 5)).tolist()): value for value in range(2000)} for _ in range(2)
    ]
    trie = DoubleArray(keys)
    every = [character for each in keys for key in each for character in key]
    text = np.array([*every[:2000], *rng.integers(0, classes + 5, 500)])
    roots = rng.integers(0, 2, len(text))
    expected = []
    for place, root in enumerate(roots):
        found = [key for end in range(place + 1, place + 5) if (key := tuple(text[place:end].tolist())) in keys[root]]
        longest = max(found, key=len, default=())
        expected.append((len(longest), keys[root].get(longest, 0)))
    lengths, values = find(trie, text, roots=roots)
    assert list(zip(lengths, values, strict=True)) == expected
    assert sum(length > 1 for length in lengths) > 50


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0, 255], np.uint8), ([-1, 255], np.int16), ([0, 32767], np.int16), ([0, 32768], np.int32)],
)
def test_tables_have_the_smallest_dtype(values, dtype):
    table = narrow(np.array(values))
    assert table.dtype == dtype
    found = look_up(table, tf.constant([1, 0]))
    assert found.dtype == tf.int32
    assert found.numpy().tolist() == values[::-1]

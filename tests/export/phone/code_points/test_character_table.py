import sys

import numpy as np
import pytest
import tensorflow as tf

from kbert.export.phone.code_points.character_table import UNKNOWN, CharacterTable
from kbert.export.phone.code_points.replacements import known_replacements

CLASSES = {character: place for place, character in enumerate("abe.中\u1112\u1161\u11ab\ue000", start=2)}


def test_rows_of_code_points():
    table = CharacterTable(known_replacements(True, True, True), CLASSES, {ord("a"): 1}, {"[": 1, "a": 2})
    text = tf.constant([*map(ord, "aÉ.中国한각x[\t\0\ue000"), -1, 0x110000])
    classes, counts, before, after, casing, mark = (column.numpy().tolist() for column in table(text))
    assert table.width == 3
    assert classes[:6] == [[2, 0, 0], [4, 0, 0], [5, 0, 0], [6, 0, 0], [UNKNOWN, 0, 0], [7, 8, 9]]
    # The first character of 각 is unknown, so its whole word is.
    assert [row[0] for row in classes[6:]] == [UNKNOWN, UNKNOWN, UNKNOWN, 0, 0, 10, 0, 0]
    assert counts == [1, 1, 1, 1, 1, 3, 1, 1, 1, 0, 0, 1, 0, 0]
    assert before == [0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert after == [0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert casing == [1] + [0] * 13
    assert mark == [2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("lowercase", "chinese_characters"), [(True, True), (False, False)])
def test_every_code_point_has_its_replacement(lowercase, chinese_characters):
    replacements = known_replacements(lowercase, lowercase, chinese_characters)
    characters = sorted({character for each in replacements.of_code_points.values() for character in each.characters})
    classes = {character: place for place, character in enumerate(characters[::2], start=2)}
    table = CharacterTable(replacements, classes, {}, {})
    # Those that normalization may change, and a part of the others, which are many and alike.
    code_points = np.union1d(list(replacements.of_code_points), np.arange(0, sys.maxunicode + 1, 97))
    columns = [column.numpy() for column in table(tf.constant(code_points, tf.int32))]
    known, counts, before, after = columns[:4]
    expected = np.zeros_like(known)
    for row, code_point in enumerate(code_points.tolist()):
        replacement = replacements.of(code_point)
        found = [classes.get(character, UNKNOWN) for character in replacement.characters]
        found = [UNKNOWN] if UNKNOWN in found else found
        expected[row, : len(found)] = found
        assert (counts[row], before[row], after[row]) == (len(found), replacement.before, replacement.after)
    np.testing.assert_array_equal(known, expected)

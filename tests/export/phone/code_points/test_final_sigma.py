import pytest
import tensorflow as tf

from kbert.export.phone.code_points.final_sigma import Casing, casings, stands_last
from kbert.text.normalization import Normalizer


def test_casings_of_characters():
    characters = "aΣ1 中.'\u0301\0\u200d가"
    found = [casings().get(ord(character), Casing.OTHER).name for character in characters]
    assert found == [*["CASED"] * 2, *["OTHER"] * 3, *["IGNORED"] * 5, "OTHER"]


@pytest.mark.parametrize(
    "text",
    ["ΑΣ", "ΑΣ.", "ΑΣ.Α", "ΣΑΣ ΣΣ", "Σ", "ΑΣ\u200dΑ", "ΑΣ中", "Α.Σ", "Α\u2028Σ", "\u0301ΑΣ\u0301", "İΣ", "1Σ", "ΑΣ1"],
)
def test_the_rule_is_that_of_the_normalizer(text):
    expected = [character == "ς" for character in Normalizer(True).with_final_sigmas(text)]
    casing = tf.constant([casings().get(ord(character), Casing.OTHER) for character in text], tf.int32)
    final = stands_last(casing).numpy()
    assert [bool(is_final) and character == "Σ" for is_final, character in zip(final, text, strict=True)] == expected

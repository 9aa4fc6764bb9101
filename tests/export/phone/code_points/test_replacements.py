import pytest

from kbert.export.phone.code_points.replacements import Replacement, Replacements, known_replacements


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ab", ("ab", False, False)),
        (" . ", (".", True, True)),
        (" ", ("", True, False)),
        ("", ("", False, False)),
    ],
)
def test_parts_of_an_entry(text, parts):
    assert Replacement.of(text) == parts


def test_a_space_within_a_replacement_has_no_place_in_the_table():
    with pytest.raises(ValueError, match=r"only at the ends of a replacement\. Received: 'a b'"):
        Replacement.of("a b")


def test_what_normalization_makes_of_code_points():
    replacements = known_replacements(True, True, True)
    assert replacements.of(ord("É")) == ("e", False, False)
    assert replacements.of(ord("한")) == ("\u1112\u1161\u11ab", False, False)
    assert replacements.of(ord("中")) == ("中", True, True)
    assert replacements.of(0x2028) == ("", True, False)
    assert replacements.of(0xE000) == ("\ue000", False, False)
    assert replacements.of(0xD800) == ("\ud800", False, False)
    assert known_replacements(True, True, True) is replacements


def test_pieces_that_normalization_never_writes():
    lowered, cased = known_replacements(True, True, True), Replacements(False, False, False)
    assert all(map(lowered.can_write, ["cafe", "中", ".", "ς"]))
    assert not any(map(lowered.can_write, ["Cafe", "café", "中国", "a.", "[MASK]", "..", "a b", " "]))
    assert all(map(cased.can_write, ["Café", "中国", "\ue000a"]))
    assert not cased.can_write("a.")

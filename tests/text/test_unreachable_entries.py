import pytest

from kbert.text.settings import AddedToken
from kbert.text.tokenizer import Tokenizer
from kbert.text.unreachable_entries import describe_unreachable, unreachable_entries
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


def found(tokens, **settings):
    return unreachable_entries(Tokenizer(Vocabulary([*SPECIAL_TOKENS, *tokens.split()]), **settings))


def test_the_original_vocabularies_are_reachable(data):
    for name, lowercase in (("uncased", True), ("cased", False), ("chinese", True)):
        tokenizer = Tokenizer(data / "vocab" / f"bert-base-{name}.txt", lowercase=lowercase)
        assert unreachable_entries(tokenizer) == {}, name


def test_a_cased_vocabulary_with_lower_casing(data):
    entries = unreachable_entries(Tokenizer(data / "vocab" / "bert-base-cased.txt"))
    assert {reason: len(tokens) for reason, tokens in entries.items()} == {"capitals": 8366, "accents": 460}


@pytest.mark.parametrize(
    ("tokens", "settings", "expected"),
    [
        ("the The ##S [unused1] <S>", {}, {"capitals": ["The", "##S"]}),
        ("the The café", {"lowercase": False}, {}),
        ("the The café", {"lowercase": False, "strip_accents": True}, {"accents": ["café"]}),
        ("ที่ ##ี แมว", {}, {"accents": ["ที่", "##ี"]}),
        ("ที่ ##ี แมว", {"strip_accents": False}, {}),
        ("बिल्ली घर", {}, {"accents": ["बिल्ली"]}),
        ("が か ガス", {}, {"accents": ["が", "ガス"]}),
        ("한국 ㅎ", {}, {"accents": ["한국"]}),
        ("東京 ##京 食べ", {}, {"Chinese words": ["東京"], "accents": ["食べ"]}),
        ("東京 食べる", {"strip_accents": False}, {"Chinese words": ["東京", "食べる"]}),
        ("東京 食べる", {"strip_accents": False, "chinese_characters": False}, {}),
        ("NASA", {"never_split": ["NASA"]}, {}),
        ("NASA", {"added_tokens": [AddedToken("NASA")]}, {}),
    ],
)
def test_entries_are_found_with_the_reason(tokens, settings, expected):
    assert found(tokens, **settings) == expected


def test_the_message_names_entries_and_a_way_out():
    assert describe_unreachable("capitals", ["A", "Be", "##C", "Do"], 1200, "vocab.txt") == (
        "capitals in 4 of the 1,200 entries of vocab.txt ('Be', 'Do', 'A' …): no text ever gives these, since they "
        "hold capitals, and text is lower-cased; add --cased if the vocabulary is of cased text"
    )
    assert describe_unreachable("accents", ["é"], 6, "v", "do this").endswith("stripped with the accents; do this")

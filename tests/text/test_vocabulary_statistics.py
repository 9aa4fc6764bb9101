import pytest

from kbert.errors import DataError
from kbert.sources.source import Source
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from kbert.text.vocabulary_statistics import VocabularyStatistics, add_sample, entry_scripts, kind_of, script_of


def count(vocabulary, *lines, **options):
    statistics = VocabularyStatistics(Tokenizer(vocabulary), **options)
    statistics.add(lines)
    return statistics


def test_counts(vocabulary):
    """the cats ran . unaffable cat zoo zoo: 1 + 2 + 1 + 1 + 3 + 1 + 1 + 1 pieces of 8 words."""
    statistics = count(vocabulary, "The cats ran.", "unaffable cat zoo zoo")
    facts = statistics.facts()
    assert (facts["words"], facts["pieces"], facts["fertility"]) == (8, 11, 11 / 8)
    assert facts["whole"] == 4 / 8
    assert facts["unknown"] == 2 / 8
    assert facts["unknown_by_script"] == {"Latin": 2 / 7, "other": 0}
    assert facts["words_by_script"] == {"Latin": 7, "other": 1}
    assert facts["most_split"] == [
        {"word": "unaffable", "pieces": ["un", "##aff", "##able"]},
        {"word": "cats", "pieces": ["cat", "##s"]},
    ]
    assert statistics.never_used() == "a dog sat on mat fast slow ##ed , !".split()
    assert facts["never_used"] == 10


def test_adding_in_parts_is_adding_at_once(vocabulary):
    lines = ["The cats ran.", "unaffable cats", "zoo the"]
    parts = count(vocabulary)
    for line in lines:
        parts.add([line])
    assert parts.facts() == count(vocabulary, *lines).facts()


def test_what_is_shown_does_not_depend_on_when_the_rest_is_forgotten(vocabulary, monkeypatch):
    from kbert.text import vocabulary_statistics

    lines = ["cats dogs mats", "unaffables", "cats catted unaffable"]
    expected = count(vocabulary, *lines, shown=2).most_split()
    assert expected == [("unaffables", "un ##aff ##able ##s"), ("unaffable", "un ##aff ##able")]
    monkeypatch.setattr(vocabulary_statistics, "_BATCH", 2)
    assert count(vocabulary, *lines, shown=2).most_split() == expected


def test_entries_are_counted_by_kind(vocabulary):
    tokens = ["[CLS]", "[unused12]", "##s", "##", "a", "中", "cat", "[unused]"]
    assert [kind_of(token) for token in tokens] == [
        *["special", "unused", "piece", "word", "character", "character", "word", "word"]
    ]
    facts = count(vocabulary).facts()
    assert facts["kinds"] == {"word": 10, "special": 5, "piece": 4, "character": 4}


@pytest.mark.parametrize(
    ("word", "script"),
    [
        ("cat", "Latin"),
        ("ｃａｔ", "Latin"),
        ("猫", "Han"),
        ("ねこ", "Hiragana"),
        ("ﾈｺ", "Katakana"),
        ("кот", "Cyrillic"),
        ("고양이", "Hangul"),
        ("2nd", "Latin"),
        ("1990", "number"),
        ("½", "number"),
        ("!", "other"),
        ("ᴵ", "other"),
        ("", "other"),
    ],
)
def test_scripts(word, script):
    assert script_of(word) == script


def test_scripts_of_entries():
    vocabulary = Vocabulary([*SPECIAL_TOKENS, "[unused1]", "a", "##b", "中", "##中", "1"])
    assert entry_scripts(vocabulary) == {"Latin": 2, "Han": 2, "number": 1}


def test_a_sample_is_counted_for_all_vocabularies(tmp_path, vocabulary):
    path = tmp_path / "text.txt"
    path.write_text("The cat\n\nsat\n")
    both = [VocabularyStatistics(Tokenizer(vocabulary)), VocabularyStatistics(Tokenizer(vocabulary, lowercase=False))]
    calls = []
    add_sample(Source([path]), both, progress=lambda *call: calls.append(call))
    assert [one.facts()["unknown"] for one in both] == [0, 1 / 3]
    assert calls == [(12, 13)]


def test_a_sample_without_words(tmp_path, vocabulary):
    (tmp_path / "text.txt").write_text("\n")
    with pytest.raises(DataError, match=r"text\.txt: expected text to look at. The sample holds no words"):
        add_sample(Source([tmp_path / "text.txt"]), [VocabularyStatistics(Tokenizer(vocabulary))])

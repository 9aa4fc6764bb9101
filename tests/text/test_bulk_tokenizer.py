import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbert.text import bulk_tokenizer
from kbert.text.bulk_tokenizer import BulkTokenizer
from kbert.text.settings import AddedToken
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

ODD_TOKENS = "a ab ##b ##bc ## # é ##é 语 ##语 a\0 ς ##ς α ##α abcdefghijklmnop . ##İ i ##i ﬀ 한 ㅎ ##x".split(" ")
ODD = Vocabulary([*SPECIAL_TOKENS, *ODD_TOKENS, "", "##" + "x" * 16, "y" * 17, "##" + "z" * 17])


def assert_same(tokenizer, texts, bulk=None):
    ids, ends = (bulk or BulkTokenizer(tokenizer)).ids(texts)
    expected = [tokenizer.ids(text) for text in texts]
    assert ids.tolist() == [index for part in expected for index in part]
    assert ends.tolist() == np.cumsum([len(part) for part in expected]).tolist()
    assert (ids.dtype, ends.dtype) == (np.int32, np.int64)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["", "a", "", "", "ab abbc", ""],
        ["\u200d\u0301", "a\u200db", "\u2028"],
        ["abc#ab##b", "é É e\u0301 a語b语 語语"],
        ["ΑΣ ΑΣΑ Σ", "ΑΣ."],
        ["abcdefghijklmnop" + "x" * 16, "abcdefghijklmnopx", "y" * 17, "a" + "z" * 17, "a" * 200, "a" * 201],
        ["İ ﬀ 한 a\0b \ufffd \ud800", "a" * 16 + " " + "b" * 17],
        ["q.b", "...", "a.a"],
    ],
)
def test_odd_texts(lowercase, texts):
    assert_same(Tokenizer(ODD, lowercase=lowercase), texts)


@given(st.lists(st.text(st.sampled_from("abcxyzé语語Σα.# \u200d\u0301İ한1")), max_size=5), st.booleans())
def test_random_texts(texts, lowercase):
    assert_same(Tokenizer(ODD, lowercase=lowercase), texts)


@pytest.mark.long
@given(st.lists(st.text(), max_size=5))
def test_any_texts(texts):
    assert_same(Tokenizer(ODD), texts)


@given(st.lists(st.text(st.sampled_from("ab#"), max_size=8), min_size=5), st.lists(st.text(st.sampled_from("ab"))))
def test_random_vocabularies(tokens, texts):
    tokens = sorted({*tokens, *(f"##{token}" for token in tokens[::2])} - set(SPECIAL_TOKENS))
    assert_same(Tokenizer(Vocabulary([*SPECIAL_TOKENS, *tokens])), texts)


@pytest.mark.parametrize(
    "settings", [{"special_tokens_in_text": True}, {"max_word_length": 3}, {"strip_accents": False}]
)
def test_settings_of_the_tokenizer(vocabulary, settings):
    assert_same(Tokenizer(vocabulary, **settings), ["The [MASK] cats sat.", "", "[SEP]", "unaffable cat café"])


def test_blocks_and_forgotten_words(vocabulary, monkeypatch):
    monkeypatch.setattr(bulk_tokenizer, "_BLOCK", 20)
    monkeypatch.setattr(bulk_tokenizer, "_KNOWN_WORDS", 3)
    tokenizer = Tokenizer(vocabulary)
    bulk = BulkTokenizer(tokenizer)
    texts = ["The cats sat.", "", "An unaffable dog, 语!", "cats " * 20, "a", "mat " * 3 + "fast slow ran on"]
    for _ in range(3):
        assert_same(tokenizer, texts, bulk)
        assert_same(tokenizer, texts[::-1], bulk)
    assert len(bulk._words._ends) < 20


@pytest.mark.parametrize("name", ["bert-base-uncased", "bert-base-cased", "bert-base-chinese"])
def test_ids_are_those_of_the_original(goldens, data, name):
    """12,045 texts with the ids of the original."""
    with gzip.open(goldens / f"tokenizer-{name}.jsonl.gz", "rt", encoding="utf-8") as handle:
        rows = [json.loads(line) for line in handle]
    tokenizer = Tokenizer(data / "vocab" / f"{name}.txt", lowercase=not name.endswith("-cased"))
    ids, ends = BulkTokenizer(tokenizer).ids([row["text"] for row in rows])
    parts = np.split(ids, ends[:-1])
    assert [row["text"] for row, part in zip(rows, parts, strict=True) if row["ids"] != part.tolist()] == []


@pytest.mark.parametrize(
    "settings",
    [
        {"special_tokens_in_text": True},
        {"added_tokens": [AddedToken("Ab.b", normalized=True), AddedToken("é", single_word=True)]},
        {"never_split": ["a.b"], "lowercase": False},
    ],
)
def test_texts_with_tokens_among_texts_without(settings):
    texts = ["a [MASK] b", "ab ab", "", "AB.B x", "é aé", "a.b", "a.ba", "[SEP]", "\U00100000 a", "ab"]
    tokenizer = Tokenizer(ODD, **settings)
    assert_same(tokenizer, texts)
    assert_same(tokenizer, texts[:1])
    assert_same(tokenizer, texts[1:3])


@pytest.mark.parametrize("settings", [{}, {"never_split": ["a"]}])
def test_mediapipe(settings):
    texts = ["", "AB ab\x0bab", "Ab\0ab ab", "É aé\x85", "é" * 50, "é" * 51, "\0", "😀ab." * 40, "x" * 101 + " b"]
    tokenizer = Tokenizer(ODD, normalization="mediapipe", **settings)
    assert_same(tokenizer, texts)
    bulk = BulkTokenizer(tokenizer)
    bulk.ids(texts)
    assert bulk.long_words == 2


@pytest.mark.parametrize("settings", [{}, {"never_split": ["a"]}, {"max_word_length": 9}])
def test_long_words_are_counted(settings):
    bulk = BulkTokenizer(Tokenizer(ODD, **settings))
    bulk.ids(["x" * 201 + " a", "ab"])
    bulk.ids(["y" * 300 + "." + "z" * 250])
    assert bulk.long_words == 3

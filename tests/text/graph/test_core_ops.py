"""The tokenizer of TensorFlow's own operations gives the ids and offsets of the default one."""

import functools
import gzip
import json

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kbert.text.graph.tokenizer import GraphTokenizer
from kbert.text.settings import AddedToken
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

LETTERS = [*"abcdenovifx", "é", "中", "国", "σ", "ς", "+", "_", "[", "]", "'", "<", ">", "😀", "가"]
PIECES = ["ab", "aba", "##ba", "##bab", "##ab", "abab##", "##abababc", "aba", "", "##", "É", "##É", "\U0001ffff"]
VOCABULARY = Vocabulary([*SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS), *PIECES])
ADDED = [
    AddedToken("Covid", normalized=True),
    AddedToken("c++", normalized=True, single_word=True),
    AddedToken("中国", normalized=True, rstrip=True),
    AddedToken("<e>", lstrip=True),
    AddedToken("[E1]", special=True),
    AddedToken("ab"),
    AddedToken("bcd"),
    AddedToken("aaa"),
    AddedToken(" b", normalized=True),
    AddedToken("\n"),
]
SETTINGS = {
    "lower-cased": {},
    "cased": {"lowercase": False, "max_word_length": 6},
    "accents": {"strip_accents": False, "chinese_characters": False, "max_word_length": 1},
    "special tokens": {"special_tokens_in_text": True},
    "added tokens": {"special_tokens_in_text": True, "added_tokens": ADDED, "never_split": ["ab'c", "A中"]},
}
PARTS = [
    *[token.content for token in ADDED],
    *SPECIAL_TOKENS,
    *["ab", "ba", "abababab", "COVID", "É", "e\u0301", " ", "_", "\0", "\u200d", "\u3000", "Σ", "ΑΣ", "İ", "a" * 101],
    *["\U00100000", "\U0001ffff", "##", "😀", "中", "가", "'"],
]
TEXTS = st.lists(st.one_of(st.sampled_from(PARTS), st.characters(exclude_categories=["Cs"])), max_size=12).map("".join)


def core_tokenizer(tokenizer):
    return GraphTokenizer(tokenizer.vocabulary, tokenizer.settings, tokenizer.text_tokens, core=True)


@functools.cache
def traced(name):
    """The default tokenizer and the core one as functions: ids, and ids with offsets."""
    tokenizer = Tokenizer(VOCABULARY, **SETTINGS[name])
    signature = [tf.TensorSpec([None], tf.string)]
    return [
        tf.function(method, input_signature=signature, autograph=False)
        for graph in (tokenizer.to_graph(), core_tokenizer(tokenizer))
        for method in (graph.__call__, graph.with_offsets)
    ]


def test_ids_and_starts(vocabulary):
    graph = core_tokenizer(Tokenizer(vocabulary))
    texts = tf.constant(["The CATS!", "", "\u2028", "[MASK] unaffable Cát", "unaffablex x" + "s" * 101])
    assert graph(texts).to_list() == [[5, 7, 15, 22], [], [], [1, 1, 1, 17, 18, 19, 7], [1, 1]]
    ids, starts, ends = graph.with_offsets(tf.constant(["so unaffable"]))
    assert (ids.to_list(), starts.to_list(), ends.to_list()) == (
        [[1, 17, 18, 19]],
        [[0, 3, 5, 8]],
        [[2, 5, 8, 12]],
    )
    assert graph(tf.constant([], tf.string)).to_list() == []


def test_a_word_that_has_no_pieces_to_its_end_is_unknown_as_a_whole():
    graph = core_tokenizer(Tokenizer(Vocabulary([*SPECIAL_TOKENS, "ab", "##c", "##cd", "a", "##bcd"])))
    # The longest piece first, and no other one if it leads nowhere: "a ##bcd" is never tried.
    assert graph(tf.constant(["abc abcd abce a ab abcdbcd abcdb"])).to_list() == [[5, 6, 5, 7, 1, 8, 5, 5, 7, 9, 1]]


@pytest.mark.long
@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=25)
@given(texts=st.lists(TEXTS, max_size=6))
def test_ids_and_offsets_are_those_of_the_default(name, texts):
    ids, with_offsets, core_ids, core_with_offsets = traced(name)
    texts = tf.constant(texts, tf.string)
    assert core_ids(texts).to_list() == ids(texts).to_list()
    assert [each.to_list() for each in core_with_offsets(texts)] == [each.to_list() for each in with_offsets(texts)]


@settings(max_examples=25)
@given(st.lists(st.binary(max_size=20), max_size=4))
@pytest.mark.long
def test_bytes_that_are_no_utf8(texts):
    _, with_offsets, _, core_with_offsets = traced("added tokens")
    texts = tf.constant(texts, tf.string)
    assert [each.to_list() for each in core_with_offsets(texts)] == [each.to_list() for each in with_offsets(texts)]


@pytest.mark.parametrize(
    "name",
    [
        "bert-base-uncased",
        *(pytest.param(f"bert-base-{kind}", marks=pytest.mark.slow) for kind in ("cased", "chinese")),
    ],
)
def test_no_id_of_the_goldens_is_wrong(data, goldens, name):
    tokenizer = Tokenizer(data / "vocab" / f"{name}.txt", lowercase=name != "bert-base-cased")
    with gzip.open(goldens / f"tokenizer-{name}.jsonl.gz") as lines:
        rows = [json.loads(line) for line in lines]
    assert len(rows) > 10_000
    graph = core_tokenizer(tokenizer)
    found = [
        ids
        for start in range(0, len(rows), 1024)
        for ids in graph(tf.constant([row["text"] for row in rows[start : start + 1024]])).to_list()
    ]
    assert [row["text"] for row, ids in zip(rows, found, strict=True) if row["ids"] != ids] == []

import functools

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kbert.export.phone.code_points.tokenizer import CodePointTokenizer
from kbert.text.settings import AddedToken
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

LENGTH = 48
LETTERS = [*"abcdenovifx", "é", "中", "国", "σ", "ς", "+", "_", "[", "]", "'", "<", ">", "😀", "가", "\u1100", "\u1161"]
PIECES = ["ab", "aba", "##ba", "##bab", "##ab", "abab##", "##abababc", "aba", "", "##", "É", "##É", "i̇", "##\u1161"]
VOCABULARY = Vocabulary([*SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS[:-1]), *PIECES])
ADDED = [AddedToken("<e>"), AddedToken("[E1]", special=True), AddedToken("ab"), AddedToken("bcd"), AddedToken("\n")]
SETTINGS = {
    "lower-cased": {},
    "cased": {"lowercase": False, "max_word_length": 6},
    "accents": {"strip_accents": False, "chinese_characters": False, "max_word_length": 1},
    "special tokens": {"special_tokens_in_text": True},
    "added tokens": {"special_tokens_in_text": True, "added_tokens": ADDED},
}
PARTS = [
    *[token.content for token in ADDED],
    *SPECIAL_TOKENS,
    *["ab", "ba", "abababab", "É", "e\u0301", " ", "_", "\0", "\u200d", "\u3000", "Σ", "ΑΣ", "İ", "a" * 7, "[MA"],
    *["\U00100000", "\U0001ffff", "##", "😀", "中", "가", "각", "'", "\ud800", "\x85", "\t", "\u2028", "\ufffd"],
]
TEXTS = st.lists(st.one_of(st.sampled_from(PARTS), st.characters()), max_size=12).map("".join)


@functools.cache
def traced(name, paired):
    """The tokenizer, and a function that gives the ids, starts and ends of a text, or of a text and its pair."""
    tokenizer = Tokenizer(VOCABULARY, **SETTINGS[name])
    graph = CodePointTokenizer(tokenizer)

    @functools.partial(tf.function, input_signature=[tf.TensorSpec([LENGTH], tf.int32)] * (1 + paired), autograph=False)
    def run(*texts):
        tokens = graph(*texts)
        count = tokens.first + tokens.second
        places, limits = tokens.order[:count], tokens.order[1 : count + 1]
        ends = tf.gather(tokens.ends, tf.gather(tokens.origins, limits - 1))
        return graph.ids(tokens, places), tf.gather(tokens.origins, places), ends, tokens.first

    return tokenizer, run


def code_points(text):
    return tf.constant([ord(character) for character in text] + [0] * (LENGTH - len(text)), tf.int32)


def tokens_of(name, *texts):
    """(id, start, end) of the tokens of each text, in the graph."""
    _, run = traced(name, len(texts) > 1)
    ids, starts, ends, first = (each.numpy().tolist() for each in run(*map(code_points, texts)))
    tokens = list(zip(ids, starts, ends, strict=True))
    second = [(index, start - LENGTH - 1, end - LENGTH - 1) for index, start, end in tokens[first:]]
    return [tokens[:first], second][: len(texts)]


def expected(name, text):
    tokenizer, _ = traced(name, False)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    return [(index, start, end) for index, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)]


def spelled(name, text):
    """The tokens of a text, each with the part of the text that it comes from."""
    vocabulary = traced(name, False)[0].vocabulary
    return [(vocabulary[index], text[start:end]) for index, start, end in tokens_of(name, text)[0]]


def test_pieces_and_the_parts_of_the_text_that_they_come_from():
    assert spelled("lower-cased", " Ab\u200dÁ'각 ÉX中中<e>") == [
        ("aba", "Ab\u200dÁ"),
        ("'", "'"),
        # The last of the three letters of the syllable is not in the vocabulary.
        ("[UNK]", "각"),
        ("e", "É"),
        ("##x", "X"),
        ("中", "中"),
        ("中", "中"),
        ("<", "<"),
        ("e", "e"),
        (">", ">"),
    ]
    assert spelled("lower-cased", "가가") == [
        ("\u1100", "가"),
        ("##\u1161", "가"),
        ("##\u1100", "가"),
        ("##\u1161", "가"),
    ]


def test_tokens_in_text():
    assert spelled("added tokens", "x[MASK]<e>ab\n ΑΣ[SEP]") == [
        ("x", "x"),
        ("[MASK]", "[MASK]"),
        ("<e>", "<e>"),
        ("ab", "ab"),
        ("\n", "\n"),
        ("[UNK]", "ΑΣ"),
        ("[SEP]", "[SEP]"),
    ]


@pytest.mark.parametrize("text", ["", "\0", " \u2028\t", "\u0301"])
def test_a_text_without_words(text):
    assert tokens_of("lower-cased", text) == [[]]
    assert tokens_of("lower-cased", text, "a") == [[], [(VOCABULARY.ids["a"], 0, 1)]]


def test_a_text_may_fill_the_input():
    for text in ("a" * LENGTH, "x" * LENGTH, "가" * LENGTH, "中" * LENGTH, "." * LENGTH):
        assert tokens_of("lower-cased", text, text) == [expected("lower-cased", text)] * 2
        assert tokens_of("cased", text, text) == [expected("cased", text)] * 2


@pytest.mark.parametrize("length", [199, 200, 201, 202])
def test_words_over_two_hundred_characters_are_unknown(length):
    tokenizer = Tokenizer(VOCABULARY)
    graph = CodePointTokenizer(tokenizer)
    for text in ("x" * length, "x " + "가" * (length // 2) + "x" * (length % 2) + "\u0301 ab"):
        tokens = graph(code_points(text.ljust(300, "\0")))
        ids = graph.ids(tokens, tokens.order[: int(tokens.first)])
        assert ids.numpy().tolist() == tokenizer.ids(text)


def test_numbers_that_are_no_code_points_are_dropped():
    _, run = traced("lower-cased", False)
    values = [ord("a"), -1, 0x110000, 2**31 - 1, -(2**31), ord("b")]
    ids, starts, ends, _ = run(tf.constant(values + [0] * (LENGTH - len(values)), tf.int32))
    assert (ids.numpy().tolist(), starts.numpy().tolist(), ends.numpy().tolist()) == ([VOCABULARY.ids["ab"]], [0], [6])


@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=200)
@given(text=TEXTS)
@pytest.mark.long
def test_tokens_are_those_of_the_tokenizer(name, text):
    assert tokens_of(name, text[:LENGTH]) == [expected(name, text[:LENGTH])]


@pytest.mark.parametrize("name", ["lower-cased", "added tokens"])
@settings(max_examples=100)
@given(text=TEXTS, pair=TEXTS)
def test_texts_of_a_pair_do_not_act_on_each_other(name, text, pair):
    text, pair = text[:LENGTH], pair[:LENGTH]
    assert tokens_of(name, text, pair) == [expected(name, text), expected(name, pair)]

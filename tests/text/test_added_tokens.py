import functools

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kbert.errors import UsageError, VocabularyError
from kbert.text.added_tokens import is_white_space, is_word
from kbert.text.settings import AddedToken, TokenizerSettings
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

LETTERS = [*"abcdenovifx", "é", "中", "国", "+", "_", "[", "]", "'", "<", ">"]
VOCABULARY = Vocabulary([*SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS), "[MASK", "'a"])
ADDED = [
    AddedToken("Covid", normalized=True),
    AddedToken("c++", normalized=True, single_word=True),
    AddedToken("中国", normalized=True, rstrip=True),
    AddedToken("<e>", lstrip=True),
    AddedToken("</e>", rstrip=True, lstrip=True),
    AddedToken("of", single_word=True),
    AddedToken("[E1]", special=True),
    AddedToken("ab"),
    AddedToken("bcd"),
    AddedToken("abcd", normalized=True),
    AddedToken("é", single_word=True, normalized=True, lstrip=True),
]
SETTINGS = {
    "special tokens": {"special_tokens_in_text": True},
    "added tokens": {"added_tokens": ADDED},
    "all": {"special_tokens_in_text": True, "added_tokens": ADDED, "never_split": ["[MASK", "'a", "<e>", "ab'c"]},
    "all, cased": {
        "lowercase": False,
        "chinese_characters": False,
        "special_tokens_in_text": True,
        "added_tokens": ADDED,
        "never_split": ["[MASK", "A中"],
    },
    "accents": {"strip_accents": False, "max_word_length": 5, "added_tokens": ADDED[:1]},
}
SPACES = [
    AddedToken("\n"),
    AddedToken("a\t"),
    AddedToken(" b", normalized=True),
    AddedToken("x ", normalized=True),
    AddedToken("c, ", normalized=True),
    AddedToken("  "),
]
SETTINGS["white space"] = {"added_tokens": SPACES}
SETTINGS["any space"] = {"added_tokens": [AddedToken(" ", normalized=True), AddedToken("\n", special=True)]}
SETTINGS["any space, special tokens"] = SETTINGS["any space"] | {"special_tokens_in_text": True, "lowercase": False}
TOKENIZERS = {name: Tokenizer(VOCABULARY, **values) for name, values in SETTINGS.items()}
PARTS = [
    *[token.content for token in ADDED],
    *SPECIAL_TOKENS,
    *["[MASK", "'a", "COVID", "É", "e\u0301", " ", "  ", "_", "\0", "\u200d", "\u3000", "Σ", "ΑΣ", "İ"],
    *["\n", "a\t", " b", "x ", "x\n", "c, ", ",", ", ", " ,", ".", "\t"],
    *["\U00100000", "\U00100003", "\U0001ffff", "a", "b", "中", "+", "x"],
]
TEXTS = st.lists(st.one_of(st.sampled_from(PARTS), st.characters(exclude_categories=["Cs"])), max_size=12).map("".join)


@functools.cache
def traced(name):
    """The graph form as functions, which are fast on many small inputs: ids, and ids with offsets."""
    graph = TOKENIZERS[name].to_graph()
    signature = [tf.TensorSpec([None], tf.string)]
    return tuple(tf.function(method, input_signature=signature) for method in (graph.__call__, graph.with_offsets))


def tokens(text, **values):
    encoding = Tokenizer(VOCABULARY, **values).encode(text, add_special_tokens=False)
    return [(token, text[start:end]) for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True)]


@pytest.mark.long
@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=25)
@given(texts=st.lists(TEXTS, max_size=6))
def test_graph_and_python_agree(name, texts):
    tokenizer = TOKENIZERS[name]
    encodings = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    in_graph, with_offsets = traced(name)
    ids, starts, ends = with_offsets(tf.constant(texts, tf.string))
    assert ids.to_list() == [encoding.ids for encoding in encodings] == [tokenizer.ids(text) for text in texts]
    assert in_graph(tf.constant(texts, tf.string)).to_list() == ids.to_list()
    offsets = [list(zip(*row, strict=True)) for row in zip(starts.to_list(), ends.to_list(), strict=True)]
    assert offsets == [encoding.offsets for encoding in encodings] == [tokenizer.offsets(text) for text in texts]


@settings(max_examples=25)
@given(st.lists(st.binary(max_size=20), max_size=4))
@pytest.mark.long
def test_bytes_that_are_no_utf8(texts):
    tokenizer = TOKENIZERS["all"]
    ids, starts, ends = traced("all")[1](tf.constant(texts, tf.string))
    encodings = [tokenizer.encode(text.decode("utf-8", "replace"), add_special_tokens=False) for text in texts]
    assert ids.to_list() == [encoding.ids for encoding in encodings]
    offsets = [list(zip(*row, strict=True)) for row in zip(starts.to_list(), ends.to_list(), strict=True)]
    assert offsets == [encoding.offsets for encoding in encodings]


def test_special_tokens():
    assert tokens("a[MASK]b") == [("a", "a"), *((c, c) for c in "["), ("[UNK]", "MASK"), ("]", "]"), ("b", "b")]
    assert tokens("a[MASK]b [mask]", special_tokens_in_text=True) == [
        ("a", "a"),
        ("[MASK]", "[MASK]"),
        ("b", "b"),
        ("[", "["),
        ("[UNK]", "mask"),
        ("]", "]"),
    ]


@pytest.mark.parametrize(
    ("added", "text", "expected"),
    [
        (AddedToken("Covid"), "xCovidx covid", ["x", "Covid", "x", "c", "##o", "##v", "##i", "##d"]),
        (AddedToken("Covid", normalized=True), "COVID cóvid", ["Covid", "Covid"]),
        (AddedToken("of", single_word=True), "of_ of-of x of", ["o", "##f", "_", "of", "[UNK]", "of", "x", "of"]),
        (AddedToken("c++", normalized=True, single_word=True), "C++ _c++ c+ +", ["c++", *"_c++", *"c++"]),
        (AddedToken("中国", normalized=True), "中国x 中 国", ["中国", "x", "中", "国"]),
    ],
)
def test_added_tokens(added, text, expected):
    assert [token for token, _ in tokens(text, added_tokens=[added])] == expected


def test_white_space_of_a_token():
    both = [AddedToken("<e>", lstrip=True, rstrip=True), AddedToken("<f>", lstrip=True)]
    assert tokens("a <e> \u3000<f> b", added_tokens=both) == [
        ("a", "a"),
        ("<e>", " <e> \u3000"),
        ("<f>", "<f>"),
        ("b", "b"),
    ]


def test_the_leftmost_and_then_the_longest():
    assert [t for t, _ in tokens("abcd", added_tokens=[AddedToken("bcd"), AddedToken("ab")])] == ["ab", "c", "##d"]
    assert [t for t, _ in tokens("abcd", added_tokens=[AddedToken("ab"), AddedToken("abcd")])] == ["abcd"]


def test_never_split():
    assert tokens("'a [MASK x'a", never_split=["'a", "[MASK"]) == [
        ("'a", "'a"),
        ("[MASK", "[MASK"),
        ("x", "x"),
        ("'", "'"),
        ("a", "a"),
    ]
    assert tokens("A A", lowercase=True, never_split=["A"]) == [("[UNK]", "A")] * 2
    assert tokens("ab'c", never_split=["ab'c"]) == [("a", "a"), ("##b", "b"), ("##'", "'"), ("##c", "c")]


def test_added_tokens_get_ids_behind_the_vocabulary_and_are_no_pieces():
    tokenizer = Tokenizer(VOCABULARY, added_tokens=[AddedToken("x"), AddedToken("xa", single_word=True)])
    assert tokenizer.vocabulary.ids["x"] == VOCABULARY.ids["x"]
    assert tokenizer.vocabulary.ids["xa"] == len(VOCABULARY) == tokenizer.vocabulary.piece_count
    assert tokenizer.encode("xab").tokens == ["[CLS]", "x", "##a", "##b", "[SEP]"]  # "xa" is met first
    assert tokenizer.decode(tokenizer.encode("xa").ids) == "xa"
    assert Tokenizer(VOCABULARY, added_tokens=[AddedToken("[A]", special=True)]).decode([len(VOCABULARY), 5]) == "a"


def test_without_tokens_to_find_nothing_is_looked_for():
    assert Tokenizer(VOCABULARY).text_tokens is None
    assert Tokenizer(VOCABULARY, added_tokens=[AddedToken("[A]", special=True)]).text_tokens is None


def test_tokens_of_white_space():
    """The ids are those of Hugging Face's tokenizers, which tests/peers compares."""
    assert tokens("a\nb\n", added_tokens=[AddedToken("\n")]) == [("a", "a"), ("\n", "\n"), ("b", "b"), ("\n", "\n")]
    assert tokens("a b\n", added_tokens=[AddedToken(" ")]) == [("a", "a"), (" ", " "), ("b", "b")]
    assert tokens("ax ,x,", added_tokens=[AddedToken("x ")]) == [
        *[("a", "a"), ("x ", "x "), ("[UNK]", ","), ("x", "x"), ("[UNK]", ",")]
    ]


def test_normalized_tokens_of_white_space_find_any():
    """But not the spaces that normalization puts beside punctuation marks."""
    assert tokens("a,b\tc, d", added_tokens=[AddedToken("\n", normalized=True)]) == [
        *[("a", "a"), ("[UNK]", ","), ("b", "b"), ("\n", "\t"), ("c", "c"), ("[UNK]", ","), ("\n", " "), ("d", "d")]
    ]
    assert tokens("x, x\n,x", added_tokens=[AddedToken("x ", normalized=True)]) == [
        *[("x", "x"), ("[UNK]", ","), ("x ", "x\n"), ("[UNK]", ","), ("x", "x")]
    ]
    assert tokens(",b, b", added_tokens=[AddedToken(" b", normalized=True)]) == [
        *[("[UNK]", ","), ("b", "b"), ("[UNK]", ","), (" b", " b")]
    ]


def test_many_tokens():
    many = [AddedToken(f"<{number}>") for number in range(2000)]
    tokenizer = Tokenizer(VOCABULARY, added_tokens=many)
    text = "<1999><0>a<77>"
    expected = [len(VOCABULARY) + 1999, len(VOCABULARY), VOCABULARY.ids["a"], len(VOCABULARY) + 77]
    assert tokenizer.ids(text) == tokenizer.to_graph()(tf.constant([text])).to_list()[0] == expected


@pytest.mark.long
def test_works_in_a_saved_graph(tmp_path):
    module = TOKENIZERS["all"].to_graph()
    module.ids = tf.function(
        lambda texts: module.with_offsets(texts)[0].to_tensor(), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(module, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    assert loaded.ids(tf.constant(["a [MASK] COVID"])).numpy().tolist() == [TOKENIZERS["all"].ids("a [MASK] COVID")]


def test_private_characters_run_out():
    held = Vocabulary([*SPECIAL_TOKENS, *map(chr, range(0x100000, 0x10FFFE))])
    with pytest.raises(VocabularyError, match=r"5 tokens to be found in text need as many characters from U\+100000"):
        Tokenizer(held, special_tokens_in_text=True)
    held = Vocabulary([*SPECIAL_TOKENS, "\U00100002", "a"])
    assert Tokenizer(held, special_tokens_in_text=True).encode("\U00100002 [SEP]a\U00100003").ids == [2, 5, 3, 1, 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AddedToken(""), "must not be empty"),
        (lambda: AddedToken("a\0"), "or contain U\\+0000. Received: "),
        (lambda: TokenizerSettings(max_word_length=0), "max_word_length must be at least 1"),
        (lambda: TokenizerSettings(model_max_length=0), "Received: 0"),
        (lambda: TokenizerSettings(added_tokens=(AddedToken("a"), AddedToken("a"))), "Received 'a' twice"),
        (lambda: TokenizerSettings(never_split=("a b",)), "Received: 'a b'"),
    ],
)
def test_settings_that_cannot_be(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_kinds_of_characters():
    assert [c for c in "aé中_1\u0301\u200dⅧⒶ²-+ \u3000" if is_word(c)] == list("aé中_1\u0301\u200dⅧⒶ")
    assert [c for c in "\t\v\x85 \u3000\u200b\u200d\x1c" if is_white_space(c)] == list("\t\v\x85 \u3000")

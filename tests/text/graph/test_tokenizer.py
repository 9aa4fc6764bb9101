import functools
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kbert.text.graph.normalization import graph_normalizer
from kbert.text.graph.tokenizer import GraphTokenizer
from kbert.text.mediapipe_table import MediaPipeTable
from kbert.text.normalization import Normalizer
from kbert.text.replacement_table import ReplacementTable
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary

TRICKY = "aAbB ΣσςİßéÅ中国か가'.,:-[]#\u0301\u0345\u2019\u1ffc\u037e\ufffd\0\t\n\x0b\x85\xa0\u00ad\u200d\u2028\u3000😀"
CHARACTERS = st.one_of(st.sampled_from(TRICKY), st.characters(exclude_categories=["Cs"]))


def alphabet_vocabulary():
    """Each letter of TRICKY and what normalization makes of it, as word and as continuation; some longer pieces."""
    pieces = set()
    for lowercase in (True, False):
        for word in Normalizer(lowercase).words(" ".join(TRICKY)):
            pieces |= set(word)
    extra = ["ab", "aba", "##ba", "##bab", "##ab", "σ", "##ς", "##σ", "\U0001ffff"]
    return Vocabulary([*SPECIAL_TOKENS, *sorted({*pieces, *(f"##{p}" for p in pieces), *extra})])


TOKENIZERS = {lowercase: Tokenizer(alphabet_vocabulary(), lowercase=lowercase) for lowercase in (True, False)}


@pytest.fixture(scope="module")
def graphs():
    return {lowercase: tokenizer.to_graph() for lowercase, tokenizer in TOKENIZERS.items()}


def test_gives_rows_of_ids(vocabulary):
    ids = Tokenizer(vocabulary).to_graph()(tf.constant(["The CATS!", "", "\u2028", "[MASK] unaffable Cát"]))
    assert ids.to_list() == [[5, 7, 15, 22], [], [], [1, 1, 1, 17, 18, 19, 7]]
    assert ids.dtype == tf.int32


def test_takes_no_texts(vocabulary):
    assert Tokenizer(vocabulary).to_graph()(tf.constant([], tf.string)).to_list() == []


def test_bad_utf8_is_dropped(vocabulary):
    assert Tokenizer(vocabulary).to_graph()(tf.constant([b"ca\xfft\xe2\x28"])).to_list() == [[7, 1]]


@pytest.mark.long
@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [True, False])
@pytest.mark.parametrize("chinese_characters", [True, False])
def test_every_character_is_normalized_as_in_python(lowercase, strip_accents, chinese_characters):
    """Each of Unicode's code points between two letters, through the graph's table and through Python's."""
    code_points = np.array([c for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000])
    table = ReplacementTable(lowercase, strip_accents=strip_accents, chinese_characters=chinese_characters)
    normalize = graph_normalizer(lowercase, strip_accents, chinese_characters)
    kinds = normalize.kinds(tf.constant(code_points, tf.int32)).numpy()
    unchanged = np.array([table._replacement(chr(c)) == chr(c) for c in code_points])
    np.testing.assert_array_equal(kinds == 0, unchanged)
    changed = [f"a{chr(c)}a" for c in code_points[~unchanged]]
    decoded = tf.strings.unicode_decode(changed, "UTF-8")
    normalized = tf.strings.unicode_encode(normalize(decoded).merge_dims(1, 2), "UTF-8").numpy()
    assert [text.decode() for text in normalized] == [
        f"a{table[ord(text[1])]}a" if text[1] != "Σ" or not lowercase else "aσa" for text in changed
    ]


@pytest.mark.parametrize("lowercase", [True, False])
@settings(max_examples=100)
@given(texts=st.lists(st.text(CHARACTERS, max_size=30), max_size=8))
@pytest.mark.long
def test_ids_are_those_of_python(graphs, lowercase, texts):
    tokenizer = TOKENIZERS[lowercase]
    expected = [tokenizer.ids(text) for text in texts]
    assert graphs[lowercase](tf.constant(texts, tf.string)).to_list() == expected
    assert [tokenizer.encode(text, add_special_tokens=False).ids for text in texts] == expected


@pytest.mark.parametrize(
    "text",
    [
        "ΑΣ",
        "ΑΣ.",
        "ΑΣ.Α",
        "ΣΑΣ ΣΣ",
        "Σ",
        "ΑΣ\u200dΑ",
        "ΑΣ中",
        "Α.Σ",
        "Α\u2028Σ",
        "\u0301ΑΣ\u0301",
        "İΣ",
        "ΑΣ\ufffdΑ",
        "Α\0Σ",
    ],
)
def test_final_sigma_alone_and_between_other_texts(graphs, text):
    rows = ["Α", text, "Α", text, "σ", text]
    expected = [TOKENIZERS[True].ids(row) for row in rows]
    assert graphs[True](tf.constant(rows)).to_list() == expected


@pytest.mark.parametrize("letter", ["a", "ß", "か", "😀"])
def test_long_words(graphs, letter):
    """The limit counts characters, whatever their bytes, after normalization."""
    texts = [letter * 200, letter * 201, f"a {letter * 5000} b", letter * 200 + "\u200d\u0301", "中" * 300]
    for lowercase, tokenizer in TOKENIZERS.items():
        expected = [tokenizer.ids(text) for text in texts]
        assert expected[1] == [tokenizer.vocabulary.unk_id]
        assert len(expected[0]) == 200 if letter != "a" else len(expected[0]) > 1
        assert graphs[lowercase](tf.constant(texts)).to_list() == expected


def test_works_in_a_saved_graph(tmp_path, vocabulary):
    module = Tokenizer(vocabulary).to_graph()
    module.ids = tf.function(
        lambda texts: module(texts).to_tensor(), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(module, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    assert loaded.ids(tf.constant(["the CATS", "ran"])).numpy().tolist() == [[5, 7, 15], [12, 0, 0]]


# === MediaPipe's normalization ===


def test_every_character_is_normalized_as_mediapipe_does_in_python():
    code_points = np.array([c for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000])
    table = MediaPipeTable()
    kinds = graph_normalizer(True, False, True, "mediapipe").kinds(tf.constant(code_points, tf.int32)).numpy()
    unchanged = np.array([table._replacement(chr(c)) == chr(c) for c in code_points])
    np.testing.assert_array_equal(kinds == 0, unchanged)


@pytest.mark.parametrize("core", [True, False])
def test_ids_with_mediapipes_normalization_are_those_of_python(core):
    tokenizer = Tokenizer(alphabet_vocabulary(), normalization="mediapipe")
    texts = [
        "",
        "ab\0ab",
        "\0",
        "a\x0bb É Σ aΣ",
        "é" * 50,
        "é" * 51,
        "ab" * 51,
        "a\xa0b \u3000",
        *TRICKY,
        TRICKY,
        "中a国",
    ]
    graph = GraphTokenizer(tokenizer.vocabulary, tokenizer.settings, core=core)
    assert graph(tf.constant(texts)).to_list() == [tokenizer.ids(text) for text in texts]
    _, starts, ends = graph.with_offsets(tf.constant(texts))
    offsets = [list(zip(*each, strict=True)) for each in zip(starts.to_list(), ends.to_list(), strict=True)]
    assert offsets == [tokenizer.offsets(text) for text in texts]


@pytest.mark.long
@settings(max_examples=100)
@given(texts=st.lists(st.text(CHARACTERS, max_size=30), max_size=8))
def test_random_texts_get_mediapipes_ids_as_in_python(texts):
    tokenizer, graph = mediapipe_pair()
    assert graph(tf.constant(texts, tf.string)).to_list() == [tokenizer.ids(text) for text in texts]


@functools.cache
def mediapipe_pair():
    tokenizer = Tokenizer(alphabet_vocabulary(), normalization="mediapipe")
    return tokenizer, tokenizer.to_graph()

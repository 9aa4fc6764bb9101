import functools
import gzip
import json
import random

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kbert.errors import UsageError
from kbert.export.phone.code_points.encoder import CodePointEncoder
from kbert.export.phone.code_points.tokenizer import CodePointTokenizer
from kbert.inference.litert_model import interpreter, litert_model
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer

FEATURES = ["input_word_ids", "input_mask", "input_type_ids"]
LENGTH, COUNT = 12, 64
TEXTS = st.lists(st.sampled_from("the a cat cats sat unaffable x Σ . ,".split()), max_size=14).map(" ".join)


def code_points(text, count=COUNT):
    return np.array([[ord(character) for character in text] + [0] * (count - len(text))], np.int32)


def rows(outputs):
    return {name: np.asarray(value)[0].tolist() for name, value in outputs.items()}


def converted(encode, count, *, paired=False):
    """The encoder as a LiteRT model: a function from texts to outputs."""
    names = ["code_points", "code_points_pair"][: 1 + paired]
    content = litert_model(encode, [tf.TensorSpec([1, count], tf.int32, name=name) for name in names])
    runner = interpreter(content, 1).get_signature_runner()
    return lambda *texts: rows(
        runner(**{name: code_points(text, count) for name, text in zip(names, texts, strict=True)})
    )


@functools.cache
def tokenizers(vocabulary):
    tokenizer = Tokenizer(vocabulary)
    return tokenizer, CodePointTokenizer(tokenizer)


def test_a_text(vocabulary):
    encode = CodePointEncoder(tokenizers(vocabulary)[1], 8)
    assert rows(encode(tf.constant(code_points("The cats!")))) == {
        "input_word_ids": [2, 5, 7, 15, 22, 3, 0, 0],
        "input_mask": [1, 1, 1, 1, 1, 1, 0, 0],
        "input_type_ids": [0] * 8,
        "starts": [0, 0, 4, 7, 8, 0, 0, 0],
        "ends": [0, 3, 7, 8, 9, 0, 0, 0],
    }
    assert rows(encode(tf.constant(code_points("a cat sat on the mat . ."))))["input_word_ids"] == [
        *[2, 6, 7, 9, 10, 5, 11, 3]
    ]
    assert rows(encode(tf.constant(code_points(""))))["input_mask"] == [1, 1, 0, 0, 0, 0, 0, 0]


def test_a_pair(vocabulary):
    encode = CodePointEncoder(tokenizers(vocabulary)[1], 9)
    assert rows(encode(tf.constant(code_points("The cat")), tf.constant(code_points(" dog s")))) == {
        "input_word_ids": [2, 5, 7, 3, 8, 1, 3, 0, 0],
        "input_mask": [1, 1, 1, 1, 1, 1, 1, 0, 0],
        "input_type_ids": [0, 0, 0, 0, 1, 1, 1, 0, 0],
        "starts": [0, 0, 4, 0, 1, 5, 0, 0, 0],
        "ends": [0, 3, 7, 0, 4, 6, 0, 0, 0],
    }


@pytest.mark.parametrize(
    ("truncation", "keep_end", "ids"),
    [
        ("longest_first", False, [2, 5, 7, 9, 3, 8, 12, 3]),
        ("longest_first", True, [2, 9, 10, 11, 3, 8, 12, 3]),
        ("only_first", False, [2, 5, 3, 8, 12, 13, 14, 3]),
        ("only_first", True, [2, 11, 3, 8, 12, 13, 14, 3]),
        ("only_second", False, [2, 5, 7, 9, 10, 11, 3, 3]),
    ],
)
def test_the_text_that_loses_tokens(vocabulary, truncation, keep_end, ids):
    encode = CodePointEncoder(tokenizers(vocabulary)[1], 8, truncation=truncation, keep_end=keep_end)
    texts = [tf.constant(code_points(text)) for text in ("the cat sat on mat", "dog ran fast slow")]
    assert rows(encode(*texts))["input_word_ids"] == ids


def test_settings_that_leave_no_room_are_refused(vocabulary):
    with pytest.raises(UsageError, match=r"sequence_length must be at least 5\. Received: sequence_length=4"):
        CodePointEncoder(tokenizers(vocabulary)[1], 4)
    with pytest.raises(UsageError, match=r"truncation must be one of .* Received: 'none'"):
        CodePointEncoder(tokenizers(vocabulary)[1], 8, truncation="none")


@functools.cache
def traced(vocabulary, paired, truncation, keep_end):
    encode = CodePointEncoder(tokenizers(vocabulary)[1], LENGTH, truncation=truncation, keep_end=keep_end)
    signature = [tf.TensorSpec([1, 2 * COUNT], tf.int32)] * (1 + paired)
    return tf.function(encode, input_signature=signature, autograph=False)


@functools.cache
def traced_graph_encoder(vocabulary):
    graph = GraphEncoder(tokenizers(vocabulary)[0].to_graph(), LENGTH)
    return tf.function(
        lambda *texts: graph.features(*graph.ragged(*texts, keep_end=True)),
        input_signature=[tf.TensorSpec([1], tf.string)] * 2,
        autograph=False,
    )


def expected_of(encoding):
    starts, ends = zip(*encoding.offsets, strict=True)
    values = encoding.ids, encoding.attention_mask, encoding.type_ids, list(starts), list(ends)
    return dict(zip([*FEATURES, "starts", "ends"], values, strict=True))


@settings(max_examples=25)
@given(texts=st.tuples(TEXTS, TEXTS))
def test_pairs_that_keep_their_end_are_those_of_the_graph_encoder(vocabulary, texts):
    texts = [text[: 2 * COUNT] for text in texts]
    expected = rows(traced_graph_encoder(vocabulary)(*(tf.constant([text]) for text in texts)))
    encode = traced(vocabulary, True, "longest_first", True)
    received = rows(encode(*(tf.constant(code_points(text, 2 * COUNT)) for text in texts)))
    count = len(expected["input_word_ids"])
    assert {name: received[name][:count] for name in FEATURES} == expected
    assert all(received[name][count:] == [0] * (LENGTH - count) for name in FEATURES)


@settings(max_examples=60)
@given(text=TEXTS, pair=TEXTS, truncation=st.sampled_from(["longest_first", "only_first", "only_second"]))
def test_features_and_offsets_are_those_of_the_tokenizer(vocabulary, text, pair, truncation):
    tokenizer, _ = tokenizers(vocabulary)
    text, pair = text[:COUNT], pair[:COUNT]
    try:
        expected = tokenizer.encode(text, pair, max_length=LENGTH, truncation=truncation, pad_to=LENGTH)
    except UsageError:  # the text that must not lose tokens leaves no room
        return
    encode = traced(vocabulary, True, truncation, False)
    received = rows(encode(*(tf.constant(code_points(each, 2 * COUNT)) for each in (text, pair))))
    assert received == expected_of(expected)


@pytest.mark.long
def test_the_litert_model_gives_the_outputs_of_the_tokenizer(vocabulary):
    tokenizer, graph_tokenizer = tokenizers(vocabulary)
    encode = CodePointEncoder(graph_tokenizer, LENGTH)
    convert = converted(encode, COUNT), converted(encode, COUNT, paired=True)
    texts = ["The cats!", "", "unaffable x\u0301\0 Σ 中", "the " * 16, "." * COUNT, "ΑΣ\u2028 cat\tsat"]
    for text in texts:
        assert convert[0](text) == expected_of(tokenizer.encode(text, max_length=LENGTH, pad_to=LENGTH))
        for pair in texts:
            expected = tokenizer.encode(text, pair, max_length=LENGTH, pad_to=LENGTH)
            assert convert[1](text, pair) == expected_of(expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert-base-uncased", "bert-base-cased", "bert-base-chinese"])
def test_no_id_and_no_offset_of_the_goldens_is_wrong(data, goldens, name):
    tokenizer = Tokenizer(data / "vocab" / f"{name}.txt", lowercase=name != "bert-base-cased")
    with gzip.open(goldens / f"tokenizer-{name}.jsonl.gz") as lines:
        texts = {row["text"]: row["ids"] for row in map(json.loads, lines)}
    assert len(texts) > 10_000
    encode = CodePointEncoder(CodePointTokenizer(tokenizer), 1400)
    wrong, largest = [], max(map(len, texts))
    for least, most in ((0, 512), (513, largest)):
        run = converted(encode, most)
        for text, ids in texts.items():
            if not least <= len(text) <= most:
                continue
            received = run(text)
            inner = slice(1, sum(received["input_mask"]) - 1)
            offsets = list(zip(received["starts"][inner], received["ends"][inner], strict=True))
            if received["input_word_ids"][inner] != ids or offsets != tokenizer.offsets(text):
                wrong.append(text)
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert-base-uncased", "bert-base-cased", "bert-base-chinese"])
def test_pairs_of_goldens_are_encoded_as_by_the_tokenizer(data, goldens, name):
    tokenizer = Tokenizer(data / "vocab" / f"{name}.txt", lowercase=name != "bert-base-cased")
    with gzip.open(goldens / f"tokenizer-{name}.jsonl.gz") as lines:
        texts = [json.loads(line)["text"][:256] for line in lines]
    run = converted(CodePointEncoder(CodePointTokenizer(tokenizer), 64), 256, paired=True)
    rng = random.Random(0)
    wrong = []
    for _ in range(1000):
        pair = rng.choices(texts, k=2)
        expected = tokenizer.encode(*pair, max_length=64, pad_to=64)
        if run(*pair) != expected_of(expected):
            wrong.append(pair)
    assert wrong == []

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import UsageError
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer


@pytest.fixture
def tokenizer(vocabulary):
    return Tokenizer(vocabulary)


def lists(features):
    return {name: tensor.numpy().tolist() for name, tensor in features.items()}


def test_encodes_texts(tokenizer):
    encoder = GraphEncoder(tokenizer.to_graph(), 6)
    assert lists(encoder(tf.constant(["the cat", "", "a dog ran fast on the mat"]))) == {
        "input_word_ids": [[2, 5, 7, 3, 0, 0], [2, 3, 0, 0, 0, 0], [2, 6, 8, 12, 13, 3]],
        "input_mask": [[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]],
        "input_type_ids": [[0] * 6] * 3,
    }


def test_encodes_pairs(tokenizer):
    encoder = GraphEncoder(tokenizer.to_graph(), 8)
    assert lists(encoder(tf.constant(["the cat", ""]), tf.constant(["sat", "a dog"]))) == {
        "input_word_ids": [[2, 5, 7, 3, 9, 3], [2, 3, 6, 8, 3, 0]],
        "input_mask": [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]],
        "input_type_ids": [[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 0]],
    }


@pytest.mark.parametrize("sequence_length", range(5, 16))
def test_cuts_pairs_as_python_does(tokenizer, sequence_length):
    """All pairs of 0 to 14 words; the words differ by place, so that a wrong end would show."""
    words = "the a cat dog sat on mat ran fast slow un . , !".split()
    texts = [" ".join(words[:count]) for count in range(len(words) + 1)]
    both = [(first, second) for first in texts for second in texts]
    encoder = GraphEncoder(tokenizer.to_graph(), sequence_length)
    features = lists(encoder(*(tf.constant(list(side)) for side in zip(*both, strict=True))))
    expected = [tokenizer.encode(*pair, max_length=sequence_length, pad_to=sequence_length) for pair in both]
    assert features["input_word_ids"] == [encoding.ids for encoding in expected]
    assert features["input_mask"] == [encoding.attention_mask for encoding in expected]
    assert features["input_type_ids"] == [encoding.type_ids for encoding in expected]


def test_pads_with_the_vocabularys_pad():
    from kbert.text.vocabulary import Vocabulary

    encoder = GraphEncoder(Tokenizer(Vocabulary(["x", "[MASK]", "[SEP]", "[CLS]", "[UNK]", "[PAD]"])).to_graph(), 8)
    assert lists(encoder(tf.constant(["x x", "x"])))["input_word_ids"] == [[3, 0, 0, 2], [3, 0, 2, 5]]


def test_leaves_room_for_text(tokenizer):
    with pytest.raises(UsageError, match=r"at least 5. Received: sequence_length=4"):
        GraphEncoder(tokenizer.to_graph(), 4)


@pytest.mark.parametrize("truncation", ["only_first", "only_second"])
def test_cuts_one_text_as_python_does(tokenizer, truncation):
    words = "the a cat dog sat on mat ran fast".split()
    short, texts = ["", "the", "dog sat on"], [" ".join(words[:count]) for count in range(len(words) + 1)]
    pairs = [(a, b) if truncation == "only_second" else (b, a) for a in short for b in texts]
    features = lists(
        GraphEncoder(tokenizer.to_graph(), 8, truncation=truncation)(*map(tf.constant, zip(*pairs, strict=True)))
    )
    expected = [tokenizer.encode(*pair, max_length=8, truncation=truncation, pad_to=8) for pair in pairs]
    assert features["input_word_ids"] == [encoding.ids for encoding in expected]
    assert features["input_type_ids"] == [encoding.type_ids for encoding in expected]


def test_a_text_that_may_not_be_cut_must_leave_room(tokenizer):
    encode = GraphEncoder(tokenizer.to_graph(), 8, truncation="only_second")
    assert lists(encode(tf.constant(["cat " * 5]), tf.constant([""])))["input_mask"] == [[1] * 8]
    with pytest.raises(tf.errors.InvalidArgumentError, match="must leave room"):
        encode(tf.constant(["cat " * 5]), tf.constant(["dog"]))
    with pytest.raises(UsageError, match=r"longest_first, only_first, only_second. Received: 'first'"):
        GraphEncoder(tokenizer.to_graph(), 8, truncation="first")


def test_windows_over_a_context(tokenizer):
    windows = GraphEncoder(tokenizer.to_graph(), 8).windows(
        tf.constant(["the cat", "a"]), tf.constant(["DOG sat. Rán on", "mat"]), stride=1
    )
    assert lists(windows.features) == {
        "input_word_ids": [[2, 5, 7, 3, 8, 9, 20, 3], [2, 5, 7, 3, 20, 12, 10, 3], [2, 6, 3, 11, 3, 0, 0, 0]],
        "input_mask": [[1] * 8, [1] * 8, [1] * 5 + [0] * 3],
        "input_type_ids": [[0] * 4 + [1] * 4, [0] * 4 + [1] * 4, [0, 0, 0, 1, 1, 0, 0, 0]],
    }
    assert windows.rows.numpy().tolist() == [0, 0, 1]
    assert windows.starts.numpy().tolist() == [[0, 0, 4, 0, 0, 4, 7, 0], [0, 0, 4, 0, 7, 9, 13, 0], [0] * 8]
    assert windows.ends.numpy().tolist() == [
        [0, 3, 7, 0, 3, 7, 8, 0],
        [0, 3, 7, 0, 8, 12, 15, 0],
        [0, 1, 0, 3, 0, 0, 0, 0],
    ]
    assert windows.slides.numpy().astype(int).tolist() == [
        [0, 0, 0, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 1, 1, 1, 0],
        [0, 0, 0, 1, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("truncation", ["only_first", "only_second", None])
@pytest.mark.parametrize(("sequence_length", "stride"), [(8, 0), (8, 1), (9, 2), (12, 3)])
def test_windows_are_those_of_python(tokenizer, truncation, sequence_length, stride):
    words = "the unaffable cat sat on a mat ! Cats ran".split()
    long = ["", *(" ".join(words[:count]) for count in range(1, len(words) + 1)), "\u200d", "un\x00affable " * 9]
    short = ["", "dog", "a dog"]
    if truncation is None:
        inputs = [(text,) for text in long]
        arguments = {}
    else:
        inputs = [(a, b) if truncation == "only_second" else (b, a) for a in short for b in long]
        arguments = {"truncation": truncation}
    encoder = GraphEncoder(tokenizer.to_graph(), sequence_length)
    windows = encoder.windows(*map(tf.constant, zip(*inputs, strict=True)), stride=stride, **arguments)
    expected = [
        (row, encoding)
        for row, texts in enumerate(inputs)
        for encoding in tokenizer.windows(*texts, max_length=sequence_length, stride=stride, **arguments)
    ]
    lengths = [len(encoding) for _, encoding in expected]
    assert windows.rows.numpy().tolist() == [row for row, _ in expected]
    ids = windows.features["input_word_ids"].numpy().tolist()
    assert [row[:n] for row, n in zip(ids, lengths, strict=True)] == [encoding.ids for _, encoding in expected]
    assert windows.features["input_mask"].numpy().sum(1).tolist() == lengths
    both = np.stack([windows.starts, windows.ends], -1).tolist()
    assert [list(map(tuple, row[:n])) for row, n in zip(both, lengths, strict=True)] == [e.offsets for _, e in expected]
    side = 1 if truncation == "only_second" else 0
    slides = [[i == side for i in encoding.sequence_ids] for _, encoding in expected]
    assert [row[:n] for row, n in zip(windows.slides.numpy().tolist(), lengths, strict=True)] == slides


def test_windows_that_cannot_be(tokenizer):
    encoder = GraphEncoder(tokenizer.to_graph(), 8)
    with pytest.raises(UsageError, match=r"stride must be at least 0, and less than 5. Received: stride=5"):
        encoder.windows(tf.constant(["a"]), tf.constant(["a"]), stride=5)
    with pytest.raises(UsageError, match="Received: 'longest_first'"):
        encoder.windows(tf.constant(["a"]), tf.constant(["a"]), stride=1, truncation="longest_first")
    with pytest.raises(tf.errors.InvalidArgumentError, match="more room than the stride"):
        encoder.windows(tf.constant(["a a a"]), tf.constant(["cat cat cat"]), stride=2)

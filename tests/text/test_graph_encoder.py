import pytest
import tensorflow as tf

from kbert.errors import UsageError
from kbert.text.graph_encoder import GraphEncoder
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

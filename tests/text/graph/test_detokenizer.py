import pytest
import tensorflow as tf

from kbert.text.graph.detokenizer import GraphDetokenizer
from kbert.text.vocabulary import Vocabulary

CASES = [
    ("the un ##aff ##able cat sat .", "the unaffable cat sat."),
    ("well , ( yes ) ; no ! why ? so :", "well, (yes); no! why? so:"),
    ("don ' t say it ' s the cats ' mat", "don't say it's the cats ' mat"),
    ("l ' homme d ' abord , o ' clock", "l'homme d'abord, o'clock"),
    ('he said " the cat " and " sat "', 'he said "the cat" and "sat"'),
    ("a well - known t - shirt - and / or", "a well-known t-shirt-and/or"),
    ("- a dash", "- a dash"),
    ("3 . 5 of 10 , 500 at 10 : 30 , 15 % for $ 5", "3.5 of 10,500 at 10:30, 15% for $5"),
    ("中 文 ， 好 。 用 bp 网 「 络 」", "中文，好。用bp网「络」"),
    ("“ yes ” … and ’ s", "“yes”… and’s"),
    ("##s cat", "s cat"),
    ("", ""),
]


@pytest.fixture(scope="module")
def texts():
    """The texts of all cases, from one batch."""
    tokens = sorted({token for case, _ in CASES for token in case.split()})
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tokens])
    rows = [[vocabulary.ids[token] for token in case.split()] for case, _ in CASES]
    ids = tf.ragged.constant(rows, tf.int32).to_tensor(vocabulary.ids["cat"])  # ids behind the length are ignored
    spec = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)]
    graph = tf.function(GraphDetokenizer(vocabulary), input_signature=spec, autograph=False)
    found = graph(ids, tf.constant([len(row) for row in rows]))
    return [text.decode() for text in found.numpy()]


@pytest.mark.parametrize("index", range(len(CASES)), ids=[case for case, _ in CASES])
def test_tokens_become_text(texts, index):
    assert texts[index] == CASES[index][1]


def test_any_number_of_dimensions(vocabulary):
    ids = tf.constant([[[5, 7, 20], [8, 15, 0]]])
    assert GraphDetokenizer(vocabulary)(ids, tf.constant([[3, 2]])).numpy().tolist() == [[b"the cat.", b"dogs"]]

import pytest
import tensorflow as tf

from kbert.errors import UsageError
from kbert.tasks.rows.entity_rows import check_room, entity_rows, marker_ids
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def marked(vocabulary):
    return Vocabulary([*vocabulary.tokens, *(f"[unused{number}]" for number in range(1, 6))])


def rows(vocabulary, texts, heads, tails, length=32):
    encode = GraphEncoder(Tokenizer(vocabulary).to_graph(), length)
    found = entity_rows(encode, tf.constant(texts), tf.constant(heads), tf.constant(tails))
    ids = found["input_word_ids"].numpy()
    tokens = [
        " ".join(vocabulary[index] for index, used in zip(row, mask, strict=True) if used)
        for row, mask in zip(ids, found["input_mask"].numpy(), strict=True)
    ]
    return tokens, found["input_type_ids"].numpy().tolist(), found["entity_positions"].numpy().tolist()


def test_entities_have_markers_and_the_second_type(marked):
    texts = ["The unaffable cat sat.", "a dog"]
    tokens, types, positions = rows(marked, texts, [[14, 17], [2, 5]], [[4, 13], [0, 1]])
    assert tokens == [
        "[CLS] the [unused3] un ##aff ##able [unused4] [unused1] cat [unused2] sat . [SEP]",
        "[CLS] [unused3] a [unused4] [unused1] dog [unused2] [SEP]",
    ]
    assert types == [[0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]]
    assert positions == [[7, 2], [4, 1]]


def test_without_markers_the_first_tokens_are_the_positions(vocabulary):
    tokens, types, positions = rows(vocabulary, ["The unaffable cat sat."], [[14, 17]], [[4, 13]])
    assert tokens == ["[CLS] the un ##aff ##able cat sat . [SEP]"]
    assert types == [[0, 0, 1, 1, 1, 1, 0, 0, 0]]
    assert positions == [[5, 2]]


def test_entities_that_share_words(marked):
    tokens, _, positions = rows(marked, ["a cat sat"], [[0, 5]], [[2, 5]])
    assert tokens == ["[CLS] [unused1] a [unused3] cat [unused4] [unused2] sat [SEP]"]
    assert positions == [[1, 3]]


def test_the_tokens_nearest_to_the_entities_are_kept(marked):
    text = "cat " * 10 + "the dog sat " + "mat " * 10 + "a dog ran " + "cat " * 10
    head, tail = text.index("dog"), text.rindex("dog")
    tokens, _, positions = rows(marked, [text], [[head, head + 3]], [[tail, tail + 3]], length=14)
    assert tokens == ["[CLS] cat the [unused1] dog [unused2] sat mat a [unused3] dog [unused4] ran [SEP]"]
    assert positions == [[3, 9]]
    long = "dog " * 30
    tokens, _, positions = rows(marked, [long], [[0, 100]], [[100, 103]], length=10)
    assert tokens == ["[CLS] [unused1] dog dog dog [unused2] [unused3] dog [unused4] [SEP]"]
    assert positions == [[1, 6]]


def test_spans_without_a_token_have_the_position_of_cls(marked):
    tokens, types, positions = rows(marked, ["a cat", ""], [[2, 5], [0, 0]], [[7, 9], [0, 0]])
    assert tokens == ["[CLS] a [unused1] cat [unused2] [SEP]", "[CLS] [SEP]"]
    assert types == [[0, 0, 1, 1, 1, 0], [0] * 6]
    assert positions == [[2, 0], [0, 0]]


def test_markers_follow_from_the_vocabulary(vocabulary, marked):
    assert marker_ids(marked) == (23, 24, 25, 26)
    assert marker_ids(vocabulary) == ()
    assert marker_ids(Vocabulary([*vocabulary.tokens, "#", "@"])) == (24, 24, 23, 23)
    encode = GraphEncoder(Tokenizer(marked).to_graph(), 9)
    with pytest.raises(UsageError, match=r"^sequence_length must be at least 10 for relations\. Received: 9$"):
        check_room(encode)


def test_the_places_of_the_tokens(marked):
    """Markers and special tokens are from no text."""
    encode = GraphEncoder(Tokenizer(marked).to_graph(), 32)
    text = "The unaffable cat sat."
    found = entity_rows(encode, tf.constant([text]), tf.constant([[14, 17]]), tf.constant([[4, 13]]))
    # [CLS] the [unused3] un ##aff ##able [unused4] [unused1] cat [unused2] sat . [SEP]
    from_text = found["token_texts"].numpy()[0] == 0
    assert from_text.tolist() == [False, True, False, True, True, True, False, False, True, False, True, True, False]
    places = zip(found["token_starts"].numpy()[0][from_text], found["token_ends"].numpy()[0][from_text], strict=True)
    assert [text[start:end] for start, end in places] == ["The", "un", "aff", "able", "cat", "sat", "."]

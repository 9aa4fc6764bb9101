import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbert.errors import UsageError, VocabularyError
from kbert.text.encoding import Encoding
from kbert.text.tokenizer import Tokenizer
from kbert.text.truncation import truncated_lengths
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


@pytest.fixture
def tokenizer(vocabulary):
    return Tokenizer(vocabulary)


def test_encodes_a_pair(tokenizer):
    assert tokenizer.encode("The CATS!", "an unaffable mat", pad_to=14) == Encoding(
        ids=[2, 5, 7, 15, 22, 3, 1, 17, 18, 19, 11, 3, 0, 0],
        tokens="[CLS] the cat ##s ! [SEP] [UNK] un ##aff ##able mat [SEP] [PAD] [PAD]".split(),
        offsets=[
            *[(0, 0), (0, 3), (4, 7), (7, 8), (8, 9), (0, 0)],
            *[(0, 2), (3, 5), (5, 8), (8, 12), (13, 16), (0, 0), (0, 0), (0, 0)],
        ],
        type_ids=[0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0],
        attention_mask=[1] * 12 + [0] * 2,
        special_tokens_mask=[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1],
    )


def test_encodes_a_text(tokenizer):
    encoding = tokenizer.encode("a dog")
    assert (encoding.ids, encoding.type_ids) == ([2, 6, 8, 3], [0, 0, 0, 0])
    assert len(encoding) == 4
    assert tokenizer.encode("a dog", add_special_tokens=False).ids == tokenizer.ids("a dog") == [6, 8]
    assert tokenizer.encode("a", "dog", add_special_tokens=False).type_ids == [0, 1]
    assert tokenizer.encode("").ids == [2, 3]
    assert tokenizer.encode("", "").ids == [2, 3, 3]
    assert tokenizer.ids("\u2028") == []


def test_special_tokens_in_text_are_text(tokenizer):
    assert tokenizer.encode("[MASK]").tokens == ["[CLS]", "[UNK]", "[UNK]", "[UNK]", "[SEP]"]


def test_case_and_accents():
    tokens = [*SPECIAL_TOKENS, "st", "##raße", "##rasse", "Straße", "strasse", "cafe", "Café"]
    uncased, cased = (Tokenizer(Vocabulary(tokens), lowercase=value) for value in (True, False))
    assert uncased.encode("Straße CAFÉ", add_special_tokens=False).tokens == ["st", "##raße", "cafe"]
    assert cased.encode("Straße Café CAFÉ", add_special_tokens=False).tokens == ["Straße", "Café", "[UNK]"]


def test_long_words_are_unknown(tokenizer):
    for word, tokens in (("cat" + 197 * "s", 198), ("cat" + 198 * "s", 1), ("x" * 10_000, 1)):
        assert len(tokenizer.ids(f"{word}")) == tokens
        encoding = tokenizer.encode(f"a {word}", add_special_tokens=False)
        assert encoding.offsets[-1][1] == 2 + len(word)
    assert tokenizer.ids("cat" + 198 * "s") == [1]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("  CÁTS\tsat. ", ["CÁT", "S", "sat", "."]),
        ("ca\u0301ts", ["ca\u0301t", "s"]),
        ("c\u200da\0ts", ["c\u200da\0t", "s"]),  # dropped characters inside a word stay inside its offsets
        ("\u200dcat\u200d", ["cat"]),
        ("中cat", ["中", "cat"]),
        ("Σcat ", ["Σcat"]),
        ("the\u2028cat", ["the", "cat"]),
    ],
)
def test_offsets(tokenizer, text, pieces):
    encoding = tokenizer.encode(text, add_special_tokens=False)
    assert [text[start:end] for start, end in encoding.offsets] == pieces


@given(st.text(max_size=40))
def test_offsets_are_in_order_and_in_the_text(text):
    vocabulary = Vocabulary([*SPECIAL_TOKENS, *"abc", "##a", "##b", "##c"])
    encoding = Tokenizer(vocabulary).encode(text, add_special_tokens=False)
    assert all(0 <= start < end <= len(text) for start, end in encoding.offsets)
    assert encoding.offsets == sorted(encoding.offsets)
    assert encoding.ids == Tokenizer(vocabulary).ids(text)


def test_truncation_is_the_original_loop():
    """_truncate_seq_pair of the original, one token at a time, for all small lengths."""
    for room in range(14):
        for first in range(16):
            for second in range(16):
                a, b = first, second
                while a + b > room:
                    if a > b:
                        a -= 1
                    else:
                        b -= 1
                assert truncated_lengths(first, second, room) == (a, b), (first, second, room)


def test_max_length(tokenizer):
    assert tokenizer.encode("the cat sat", "a dog ran", max_length=7).ids == [2, 5, 7, 3, 6, 8, 3]
    assert tokenizer.encode("the cat sat", "a dog ran", max_length=8).ids == [2, 5, 7, 9, 3, 6, 8, 3]
    assert tokenizer.encode("the cat sat", "a", max_length=6).ids == [2, 5, 7, 3, 6, 3]
    assert tokenizer.encode("the cat sat", max_length=4).ids == [2, 5, 7, 3]
    assert tokenizer.encode("the cat sat", max_length=2, add_special_tokens=False).ids == [5, 7]
    assert tokenizer.encode("the cat sat", max_length=2).ids == [2, 3]
    with pytest.raises(UsageError, match="Received: max_length=1"):
        tokenizer.encode("the cat", max_length=1)
    with pytest.raises(UsageError, match="Received: max_length=2"):
        tokenizer.encode("the cat", "sat", max_length=2)


def test_batches(tokenizer):
    texts, pairs = ["the cat", "a"], ["sat", "ran fast"]
    assert tokenizer.encode_batch(texts, pairs) == [tokenizer.encode(*both) for both in zip(texts, pairs, strict=True)]
    padded = tokenizer.encode_batch(iter(texts), pad=True)
    assert [e.ids for e in padded] == [[2, 5, 7, 3], [2, 6, 3, 0]]
    assert [e.attention_mask for e in padded] == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert tokenizer.encode_batch([], pad=True) == []
    with pytest.raises(UsageError, match=r"as many pairs as texts. Received: 2 and 1"):
        tokenizer.encode_batch(texts, ["sat"])


def test_decode(tokenizer):
    ids = tokenizer.encode("The unaffable cats sat.", pad_to=12).ids
    assert tokenizer.decode(ids) == "the unaffable cats sat ."
    assert tokenizer.decode([2, 15, 7, 3, 0], skip_special_tokens=False) == "[CLS]s cat [SEP] [PAD]"
    assert tokenizer.decode([15, 7]) == "##s cat"  # no word to continue
    assert tokenizer.decode([]) == ""


def test_vocabulary_from_a_file(vocab_file, tmp_path):
    assert Tokenizer(vocab_file).ids("the cat") == [5, 7]
    assert Tokenizer(str(vocab_file)).vocabulary == Tokenizer(vocab_file).vocabulary
    with pytest.raises(VocabularyError):
        Tokenizer(tmp_path / "absent.txt")

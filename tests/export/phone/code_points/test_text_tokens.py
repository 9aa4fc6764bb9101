import pytest
import tensorflow as tf

from kbert.errors import UsageError
from kbert.export.phone.code_points.text_tokens import TextTokenSearch
from kbert.text.settings import AddedToken
from kbert.text.tokenizer import Tokenizer


def found(tokenizer, text):
    """The tokens found in a text, and its characters that belong to tokens that begin before them."""
    search = TextTokenSearch(tokenizer.text_tokens)
    marks = tf.constant([search.marks.get(character, 0) for character in text], tf.int32)
    places, begins, inside, lengths = (each.numpy().tolist() for each in search(marks))
    tokens = [
        (start, text[start : start + lengths[start]], tokenizer.vocabulary[search.ids[places[start]]])
        for start, is_token in enumerate(begins)
        if is_token
    ]
    assert all(text[start : start + len(content)] == content for start, content, _ in tokens)
    return [(start, token) for start, _, token in tokens], "".join(
        c for c, is_in in zip(text, inside, strict=True) if is_in
    )


def test_special_tokens(vocabulary):
    tokenizer = Tokenizer(vocabulary, special_tokens_in_text=True)
    assert found(tokenizer, "a[MASK][MASK [SEP]]") == ([(1, "[MASK]"), (13, "[SEP]")], "MASK]SEP]")


def test_the_leftmost_and_then_the_longest_token(vocabulary):
    added = [AddedToken(content) for content in ("ab", "bcd", "abab", "aa")]
    tokenizer = Tokenizer(vocabulary, added_tokens=added)
    assert found(tokenizer, "abcd bcd ababab aaa") == (
        [(0, "ab"), (5, "bcd"), (9, "abab"), (13, "ab"), (16, "aa")],
        "bcdbabba",
    )


def test_special_tokens_that_are_split_hide_others_within_them(vocabulary):
    tokenizer = Tokenizer(vocabulary, added_tokens=[AddedToken("MASK")])
    assert found(tokenizer, "[MASK] MASK") == ([(7, "MASK")], "ASK")


def test_no_tokens(vocabulary):
    assert TextTokenSearch(Tokenizer(vocabulary).text_tokens).ids == []


@pytest.mark.parametrize(
    "settings",
    [
        {"added_tokens": [AddedToken("Covid", normalized=True)]},
        {"added_tokens": [AddedToken("Covid", single_word=True)]},
        {"added_tokens": [AddedToken("Covid", lstrip=True)]},
        {"added_tokens": [AddedToken("Covid", rstrip=True)]},
        {"never_split": ["Covid"]},
    ],
)
def test_tokens_with_other_rules_are_refused(vocabulary, settings):
    tokens = Tokenizer(vocabulary, **settings).text_tokens
    with pytest.raises(UsageError, match=r"Received the added token '[Cc]ovid'; use --input tokens"):
        TextTokenSearch(tokens)

import pytest

from kbert.errors import DataError
from kbert.sources.source import Source
from kbert.text.tokenizer import Tokenizer
from kbert.text.used_tokens import UsedTokens
from kbert.text.vocabulary import Vocabulary


@pytest.fixture
def used():
    return UsedTokens(Tokenizer(Vocabulary("[PAD] [UNK] [CLS] [SEP] [MASK] a ab ##c ##cd x".split())))


def test_tokens_and_matches_of_unknown_words_are_counted(used):
    used.add(["ab x", "", "abcdz Abc x"])
    assert used.tokens.tolist() == [0, 1, 0, 0, 0, 0, 2, 1, 0, 2]
    # "abcdz" is "ab", "##cd", and then nothing.
    assert used.partial.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 1, 0]
    assert used.unknown == pytest.approx(1 / 6)


def test_a_word_that_is_too_long_needs_no_pieces():
    used = UsedTokens(Tokenizer(Vocabulary("[PAD] [UNK] [CLS] [SEP] [MASK] a ##a".split()), max_word_length=3))
    used.add(["aaaa"])
    assert (used.tokens[1], used.partial.tolist()) == (1, [0] * 7)


def test_a_source_of_many_lines(used, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("ab x\n" * 5000)
    calls = []
    used.add_source(Source([path]), progress=lambda done, total: calls.append((done, total)))
    assert used.tokens.tolist() == [0, 0, 0, 0, 0, 0, 5000, 0, 0, 5000]
    assert calls == [(4096 * 5, 25_000)]


def test_a_source_without_text_is_refused(used, tmp_path):
    (tmp_path / "text.txt").write_text(" \n")
    with pytest.raises(DataError, match="The file holds no words"):
        used.add_source(Source([tmp_path / "text.txt"]))

import numpy as np
import pytest

from kbert.corpus.word_list import WordFinder, read_word_list, words_sha256
from kbert.errors import DataError
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import SPECIAL_TOKENS, Vocabulary


@pytest.fixture
def tokenizer():
    return Tokenizer(Vocabulary([*SPECIAL_TOKENS, *"北京大学生活动物园", "new", "york", "##er"]))


def marked(tokenizer, words, *texts):
    """Each text with its words joined by _."""
    ids = [tokenizer.ids(text) for text in texts]
    ends = np.cumsum([len(part) for part in ids])
    marks = WordFinder(words, tokenizer).continuations(np.array([i for part in ids for i in part], np.int32), ends)
    assert marks.dtype == bool
    return [
        "".join(("_" if mark else " ") + tokenizer.vocabulary[i] for i, mark in zip(part, where, strict=True)).strip()
        for part, where in zip(ids, np.split(marks, ends[:-1]), strict=True)
    ]


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        (["北京", "大学"], "北京大学生", "北_京 大_学 生"),
        (["北京", "大学", "北京大学", "大学生"], "北京大学生", "北_京_大_学 生"),  # the longest, from the left
        (["大学", "学生", "生活"], "大学生活", "大_学 生_活"),
        (["学生", "生活"], "大学生活", "大 学_生 活"),
        (["动物园"], "动物活动物园动物园", "动 物 活 动_物_园 动_物_园"),
        (["动物园", "动物"], "动物活动", "动_物 活 动"),
        (["动", "物"], "动物", "动 物"),  # words of one token are words anyway
        (["New York"], "new york new", "new_york new"),
        (["火车", "北京"], "北京", "北_京"),  # what the vocabulary cannot spell is left out
        (["火车"], "北京", "北 京"),
        (["北京"], "", ""),
    ],
)
def test_greedy_longest_match(tokenizer, words, text, expected):
    assert marked(tokenizer, words, text) == [expected]


def test_no_word_goes_across_texts(tokenizer):
    assert marked(tokenizer, ["北京", "大学"], "北", "京大", "", "学北京") == ["北", "京 大", "", "学 北_京"]


def test_is_the_plain_algorithm(tokenizer):
    """On random words and texts."""
    rng = np.random.default_rng(0)
    letters = list("北京大学")
    for _ in range(100):
        words = {"".join(rng.choice(letters, rng.integers(2, 5))) for _ in range(6)}
        text = "".join(rng.choice(letters, 60))
        expected, at = [], 0
        while at < len(text):
            size = next((n for n in (4, 3, 2) if text[at : at + n] in words), 1)
            expected.append("_".join(text[at : at + size]))
            at += size
        assert marked(tokenizer, sorted(words), text) == [" ".join(expected)]


def test_frequencies_and_tags_behind_words_are_left_out(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("北京 34488 ns\n大学 20025\n\nnew york\n动物园\tn\n 北京\n", encoding="utf-8")
    assert read_word_list(path) == ("new york", "动物园", "北京", "大学")
    assert words_sha256(read_word_list(path)) != words_sha256(["北京"])


def test_an_empty_list(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\n \n")
    with pytest.raises(DataError, match=r"words\.txt: expected one word per line. The file contains none"):
        read_word_list(path)

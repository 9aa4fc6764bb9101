import numpy as np

from apps.customer_service.word_search import WordSearch

TEXTS = ["Where is my dog?", "How do I pay?", "怎么付款", "怎么激活手机卡"]


def test_parts_of_words_and_chinese_characters_count():
    search = WordSearch(TEXTS)
    scores = search.scores(["two DOGS", "payment", "付款方式", "手机卡", "Where is my dog"])
    assert scores.shape == (5, 4)
    assert scores.dtype == np.float32
    assert scores.argmax(1).tolist() == [0, 1, 2, 3, 0]
    assert scores[4, 0] == np.float32(1)
    assert not search.scores(["the moon"]).any()


def test_what_has_no_word_cannot_be_read():
    search = WordSearch(TEXTS)
    assert [search.reads(text) for text in ("?!", " ", "the", "款")] == [False, False, True, True]

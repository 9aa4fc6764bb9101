import pytest

from kbert.tasks.metrics.rouge import oracle_sentences, rouge, rouge_words

REFERENCE = "The quick brown fox jumps over the lazy dog."


def test_scores_by_hand():
    scores = rouge([REFERENCE], "The lazy fox jumps, the dog!")
    # the ×2, lazy, fox, jumps, dog: 6 of 6 words, 6 of 9.
    assert scores["rouge1"] == pytest.approx((1, 6 / 9, 0.8))
    # "the lazy" and "fox jumps".
    assert scores["rouge2"] == pytest.approx((2 / 5, 2 / 8, 2 * 0.4 * 0.25 / 0.65))
    # the fox jumps the dog.
    assert scores["rougeL"] == pytest.approx((5 / 6, 5 / 9, 2 / 3))


def test_sentences_are_compared_one_by_one():
    # Lin 2004, section 3.2: the sentence w1 w2 w3 w4 w5 has w1 w2 in common with the first sentence of the summary and
    # w1 w3 w5 with the second, so four of its words. The summary has ten words.
    score = rouge(["w1 w2 w3 w4 w5"], "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5")
    assert score["rougeLsum"] == pytest.approx((4 / 10, 4 / 5, 2 * 0.4 * 0.8 / 1.2))
    # The order of sentences does not matter, except to ROUGE-L.
    score = rouge(["the cat sat\n\na dog ran!"], "A dog ran.\nThe cat sat.")
    assert score["rougeLsum"] == (1, 1, 1)
    assert score["rougeL"] == (0.5, 0.5, 0.5)
    # A word counts at most as often as both texts have it: "a" is in both reference sentences, once in the summary.
    assert rouge(["a b\na c"], "a\nd")["rougeLsum"] == pytest.approx((1 / 2, 1 / 4, 1 / 3))
    # Each sentence of the summary has one word in common, b or another one. The same is chosen as in rouge-score: b.
    assert rouge(["b a c"], "a b\nc b")["rougeLsum"] == pytest.approx((1 / 4, 1 / 3, 2 / 7))


def test_nothing_in_common():
    for summary in ("", "!!", "a cat"):
        assert all(tuple(score) == (0, 0, 0) for score in rouge(["dogs"], summary).values())
    assert rouge([""], "")["rouge1"].f1 == 0


def test_the_best_reference_counts():
    assert rouge(["nothing", "a cat sat"], "a cat sat")["rougeL"] == (1, 1, 1)


def test_words_of_all_scripts():
    assert rouge_words("Don't over-fit: 3.5x") == ["don", "t", "over", "fit", "3", "5x"]
    assert rouge_words("猫坐 on 垫子") == ["猫", "坐", "on", "垫", "子"]
    assert rouge_words("Кошка_сидела, 3 naïve CAFÉ!") == ["кошка", "сидела", "3", "na", "ve", "caf"]
    assert rouge_words("हिन्दी भाषा") == ["हिन्दी", "भाषा"]
    assert rouge_words("แมวดี") == ["แ", "ม", "ว", "ดี"]


def test_other_scripts_have_scores():
    assert rouge(["Кошка сидела на ковре."], "На ковре кошка")["rouge1"] == pytest.approx((1, 3 / 4, 6 / 7))
    assert oracle_sentences(["Собака бежит.", "Кошка сидит."], ["кошка"], 1) == [1]


def test_the_sentences_that_fit_a_summary_best():
    sentences = ["dogs run", "the cat sat on the mat", "fast cats", "a dog ate"]
    assert oracle_sentences(sentences, ["the cat sat. a dog ate."], 3) == [1, 3]
    assert oracle_sentences(sentences, ["the cat sat. a dog ate."], 1) == [3]
    assert oracle_sentences(sentences, ["nothing"], 2) == []

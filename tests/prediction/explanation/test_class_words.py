import doctest

from kbert.prediction.explanation import class_words as module
from kbert.prediction.explanation import explained_answer
from kbert.prediction.explanation.class_words import LabelWords, PushingWord, class_words


def explanation(label, **scores):
    return {"label": label, "words": [{"word": word, "score": score} for word, score in scores.items()]}


def test_the_examples():
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(explained_answer).failed == 0


def test_words_are_ranked_by_their_sums():
    found = class_words(
        [
            explanation("bad", dull=2.0, film=-0.25),
            explanation("bad", Dull=1.0, plot=0.5),
            explanation("good", fine=1.5, dull=-1.0),
        ],
        most=2,
    )
    assert list(found) == ["bad", "good"]
    assert found["bad"] == LabelWords(
        2, [PushingWord("dull", 3.0, 2), PushingWord("plot", 0.5, 1)], [PushingWord("film", -0.25, 1)]
    )
    assert found["bad"].speak_for[0].mean == 1.5
    assert found["good"] == LabelWords(1, [PushingWord("fine", 1.5, 1)], [PushingWord("dull", -1.0, 1)])


def test_capitals_are_kept_for_a_model_that_knows_them():
    found = class_words([explanation("bad", Dull=2.0, dull=1.0)], lowercase=False)
    assert [word.word for word in found["bad"].speak_for] == ["Dull", "dull"]


def test_a_word_of_one_text_among_many_is_left_out():
    texts = [explanation("bad", dull=1.0, **({"Ada": 9.0} if place == 0 else {})) for place in range(20)]
    assert [word.word for word in class_words(texts)["bad"].speak_for] == ["dull"]
    assert [word.word for word in class_words(texts[:19])["bad"].speak_for] == ["dull", "ada"]

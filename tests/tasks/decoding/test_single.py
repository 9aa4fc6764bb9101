import numpy as np
import pytest
import tensorflow as tf

from kbert.tasks.decoding.settings import Decoding
from kbert.tasks.decoding.single import SingleAnswers, random_draws

LONGEST = 8
SLOW = pytest.mark.slow


def greedy(rules, decoding, features):
    return SingleAnswers(rules, decoding)


def drawing(seeds, temperature=None):
    def make(rules, decoding, features):
        draws = random_draws(tf.constant(list(seeds), tf.int64), features, decoding.answers, rules.longest + 1)
        return SingleAnswers(rules, decoding, draws, temperature)

    return make


def test_greedy_answers_are_those_without_a_cache(writer, sources):
    texts, scores = writer.decode(sources, Decoding(length_penalty=0.8), LONGEST, greedy)
    expected = [writer.greedy(source, LONGEST) for source in sources]
    assert [rows[0] for rows in texts] == expected
    assert len({len(answer) for answer in expected}) > 2  # answers that end early, and the longest
    wanted = [writer.score(source, answer, LONGEST, 0.8) for source, answer in zip(sources, expected, strict=True)]
    np.testing.assert_allclose(scores[:, 0], wanted, atol=1e-4)


def test_answers_do_not_depend_on_the_other_sources_of_the_batch(writer, sources):
    together, scores = writer.decode(sources, Decoding(temperature=1.0, answers=2), LONGEST, drawing([7] * 12))
    alone, score = writer.decode(sources[3:4], Decoding(temperature=1.0, answers=2), LONGEST, drawing([7]))
    assert together[3] == alone[0]
    np.testing.assert_allclose(scores[3], score[0], atol=1e-4)
    assert scores[3][0] >= scores[3][1]
    assert together[4] != together[5]  # the same seed, but another text


def test_a_seed_gives_the_same_answer_again_and_another_seed_another(writer):
    seeds = [1, 1, 2, 3]
    texts, _ = writer.decode([[5, 7, 9]] * 4, Decoding(temperature=1.0), LONGEST, drawing(seeds))
    assert texts[0] == texts[1]
    assert len({str(each) for each in texts}) == 3


@pytest.mark.parametrize(
    "settings", [{"top_k": 1}, *(pytest.param(each, marks=SLOW) for each in ({"top_p": 1e-6}, {}))]
)
def test_draws_from_the_likeliest_token_alone_are_greedy(writer, sources, settings):
    temperature = None if settings else tf.fill([12], 1e-5)
    texts, _ = writer.decode(sources, Decoding(temperature=1.0, **settings), LONGEST, drawing([5] * 12, temperature))
    assert [rows[0] for rows in texts] == [writer.greedy(source, LONGEST) for source in sources]


def test_a_temperature_of_0_or_less_takes_the_likeliest_tokens(writer, sources):
    decoding = Decoding(temperature=1.0)
    temperatures = tf.constant([0.0, -1.0, 1.0, 1e-30] * 3)
    texts, _ = writer.decode(sources, decoding, LONGEST, drawing([5] * 12, temperatures))
    drawn, _ = writer.decode(sources, decoding, LONGEST, drawing([5] * 12))
    for number, source in enumerate(sources):
        expected = drawn[number][0] if number % 4 == 2 else writer.greedy(source, LONGEST)
        assert texts[number][0] == expected
    assert any(drawn[number][0] != writer.greedy(sources[number], LONGEST) for number in (2, 6, 10))


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        pytest.param({}, lambda p: p > 0, marks=SLOW),
        pytest.param({"top_k": 4}, lambda p: p >= np.sort(p)[-4], marks=SLOW),
        ({"top_p": 0.5}, lambda p: nucleus(p, 0.5)),
    ],
)
def test_tokens_are_drawn_with_their_probabilities(writer, settings, kept):
    source, temperature, count = [5, 9, 11], 1.5, 3000
    answers, _ = writer.decode(
        [source] * count, Decoding(temperature=temperature, **settings), 1, drawing(range(count))
    )
    probabilities = np.exp(writer.log_probabilities(source, [])[0] / temperature)
    probabilities /= probabilities.sum()
    probabilities = np.where(kept(probabilities), probabilities, 0)
    probabilities /= probabilities.sum()
    drawn = [rows[0][0] if rows[0] else 3 for rows in answers]
    frequencies = np.bincount(drawn, minlength=23) / count
    assert (frequencies[probabilities == 0] == 0).all()
    np.testing.assert_allclose(frequencies, probabilities, atol=0.03)


def nucleus(probabilities, least):
    """The smallest set of likeliest tokens with at least this probability."""
    order = np.argsort(-probabilities)
    count = int((np.cumsum(probabilities[order]) < least).sum()) + 1
    return np.isin(np.arange(len(probabilities)), order[:count])

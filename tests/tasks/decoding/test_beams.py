import itertools

import numpy as np
import pytest

from kbert.tasks.decoding.beams import BeamSearch
from kbert.tasks.decoding.settings import Decoding

END = 3
TEXT = list(range(5, 23))


def search(rules, decoding, features):
    return BeamSearch(rules, decoding)


@pytest.mark.parametrize("exponent", [pytest.param(0.0, marks=pytest.mark.slow), 1.0])
def test_as_many_beams_as_tokens_find_the_best_of_all_answers(writer, sources, exponent):
    decoding = Decoding(beams=len(TEXT), answers=3, length_penalty=exponent)
    texts, scores = writer.decode(sources[:3], decoding, 2, search)
    every = [[], *([token] for token in TEXT), *map(list, itertools.product(TEXT, TEXT))]
    for source, found, score in zip(sources, texts, scores, strict=False):
        first = writer.log_probabilities(source, [])[0]
        values = {(): first[END] / (6 / 6) ** exponent}
        for token in TEXT:
            behind = writer.log_probabilities(source, [token])[1]
            values[(token,)] = (first[token] + behind[END]) / (7 / 6) ** exponent
            for last in TEXT:
                values[(token, last)] = (first[token] + behind[last]) / (8 / 6) ** exponent
        assert len(values) == len(every)
        best = sorted(values, key=values.get, reverse=True)[:3]
        assert found == [list(answer) for answer in best]
        np.testing.assert_allclose(score, [values[answer] for answer in best], atol=1e-4)


@pytest.mark.parametrize("beams", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_beams_never_score_below_the_greedy_answer(writer, sources, beams):
    texts, scores = writer.decode(sources, Decoding(beams=beams), 8, search)
    greedy = [writer.score(source, writer.greedy(source, 8), 8, 0.6) for source in sources]
    assert (scores[:, 0] >= np.array(greedy) - 1e-4).all()
    assert (scores[:, 0] > np.array(greedy) + 1e-2).any()
    # The scores are those of the answers, although the beams share one cache.
    own = [writer.score(source, rows[0], 8, 0.6) for source, rows in zip(sources, texts, strict=True)]
    np.testing.assert_allclose(scores[:, 0], own, atol=1e-4)


def test_several_answers_are_different_and_best_first(writer, sources):
    decoding = Decoding(beams=4, answers=4, no_repeat=2, min_target=2)
    texts, scores = writer.decode(sources, decoding, 6, search)
    assert all(len({str(answer) for answer in rows}) == 4 for rows in texts)
    assert (np.diff(scores) <= 0).all()
    for answer in itertools.chain(*texts):
        assert 2 <= len(answer) <= 6
        assert len(set(itertools.pairwise(answer))) == len(answer) - 1


@pytest.mark.slow
def test_answers_do_not_depend_on_the_other_sources_of_the_batch(writer, sources):
    together, scores = writer.decode(sources, Decoding(beams=3, answers=2), 8, search)
    for index in (0, 3):
        alone, score = writer.decode(sources[index : index + 1], Decoding(beams=3, answers=2), 8, search)
        assert alone[0] == together[index]
        np.testing.assert_allclose(score[0], scores[index], atol=1e-4)

import math

import pytest

from kbert.training.search.advisor import Advisor
from kbert.training.search.search_space import parse_space

pytest.importorskip("optuna")

OVER = {"learning_rate": "1e-5:1e-3", "batch_size": "16,32", "frozen_layers": "0:3", "dropout": "0:0.5"}


def asked(search, trials, *, seed=0, resumed_at=None):
    """The values of some trials whose score falls with the distance of the rate from 1e-4; trial 2 fails."""
    advisor, told = Advisor(search, parse_space(OVER), seed), []
    for number in range(trials):
        if number == resumed_at:
            advisor = Advisor(search, parse_space(OVER), seed)
            for values, score in told:
                advisor.tell(values, score)
        values = advisor.ask(number)
        score = None if number == 2 else -abs(math.log10(values["learning_rate"]) + 4)
        told.append((values, score))
        advisor.tell(values, score)
    return [values for values, _ in told]


@pytest.mark.parametrize("search", ["random", "bayesian"])
def test_a_seed_gives_the_same_trials_with_and_without_an_interruption(search):
    found = asked(search, 30)
    assert found == asked(search, 30) == asked(search, 30, resumed_at=17)
    assert found != asked(search, 30, seed=1)
    assert found[:5] == asked(search, 5)
    for values in found:
        assert list(values) == list(OVER)
        assert 1e-5 <= values["learning_rate"] <= 1e-3
        assert values["batch_size"] in (16, 32)
        assert values["frozen_layers"] in (0, 1, 2, 3)
        assert 0 <= values["dropout"] <= 0.5


def test_the_bayesian_search_learns_from_scores():
    def distance(search):
        later = [asked(search, 30, seed=seed)[15:] for seed in range(4)]
        rates = [abs(math.log10(values["learning_rate"]) + 4) for trials in later for values in trials]
        return sum(rates) / len(rates)

    assert distance("bayesian") < 0.6 * distance("random")


def test_a_grid_has_all_combinations():
    advisor = Advisor("grid", parse_space({"learning_rate": "1e-5:1e-3", "frozen_layers": "0:1"}), 0)
    found = [advisor.ask(number) for number in range(21)]
    assert found[20] is None
    assert [values["frozen_layers"] for values in found[:4]] == [0, 1, 0, 1]
    rates = [values["learning_rate"] for values in found[:20:2]]
    assert (rates[0], rates[-1]) == (1e-5, 1e-3)
    assert rates == pytest.approx([10 ** (-5 + 2 * place / 9) for place in range(10)], rel=1e-5)

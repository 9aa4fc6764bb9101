import numpy as np
import pytest
from scipy import stats

from apps.sentiment_monitor.errors import UsageError
from apps.sentiment_monitor.surges.counts import Counts
from apps.sentiment_monitor.surges.looks import _is_usual, significant_looks
from apps.sentiment_monitor.surges.rule import LARGEST_THRESHOLD, NEGATIVE, VOLUME, Rule
from apps.sentiment_monitor.surges.significance import share_p_value, volume_dispersion, volume_p_value
from apps.sentiment_monitor.surges.surges import new_surges

BINS_OF_A_DAY = 48
MONDAY = 1_767_571_200 // 1800
"""The number of the bin of half an hour with which Monday, 5 January 2026, begins."""


def counts_of(days, seed=0, rate=1.0, share=0.1):
    """Counts of two topics without rhythm: Poisson numbers, and a binomial share of negative ones."""
    rng = np.random.default_rng(seed)
    everything = rng.poisson(rate, (2, days * BINS_OF_A_DAY))
    return Counts(["A", "B"], MONDAY, 1800, everything, rng.binomial(everything, share))


def looks_in(counts, rule, first_day, last_day):
    first, last = (MONDAY + day * BINS_OF_A_DAY for day in (first_day, last_day))
    return list(significant_looks(counts, rule, first, last))


def test_with_a_long_past_the_tests_are_those_of_known_rates():
    past = np.full(100_000, 10)
    assert volume_p_value(25, past, 1.0) == pytest.approx(stats.poisson.sf(24, 10), rel=1e-2)
    assert share_p_value(12, 30, past, past * 10) == pytest.approx(stats.binom.sf(11, 30, 0.1), rel=1e-2)


def test_the_tails_are_those_of_scipy():
    past, days = np.array([1, 0, 5, 2, 0, 3]), np.array([10, 12, 9, 10, 11, 10])
    assert volume_p_value(20, days, 1.7) == pytest.approx(stats.nbinom.sf(19, *nbinom_of(days, 1.7)))
    assert share_p_value(1, 1, past, days) == pytest.approx((past.sum() + 0.5) / (days.sum() + 1))
    assert share_p_value(0, 7, past, days) == pytest.approx(1)


def nbinom_of(days, dispersion):
    mean = (days.sum() + 0.5) / len(days)
    variance = mean * dispersion * (1 + 1 / len(days))
    return mean**2 / (variance - mean), mean / variance


def test_a_short_past_and_clusters_make_p_values_larger():
    assert volume_p_value(25, np.full(8, 10), 1.0) > 2 * stats.poisson.sf(24, 10)
    assert volume_p_value(25, np.full(100, 10), 2.0) > 20 * stats.poisson.sf(24, 10)
    clustered = np.tile([0, 4], 50)
    assert share_p_value(12, 30, clustered, np.full(100, 20)) > 3 * share_p_value(
        12, 30, np.full(100, 2), np.full(100, 20)
    )


def test_p_values_that_are_not_computed_are_not_significant():
    for mean in (0.3, 1, 4, 9.5, 40, 1000):
        count = int(mean + 2 * mean**0.5)
        assert _is_usual(count, mean)
        assert not _is_usual(count + 1, mean)
        assert stats.poisson.sf(count - 1, mean) > LARGEST_THRESHOLD
    for size, share in ((5, 0.1), (20, 0.3), (100, 0.02), (300, 0.9)):
        count = int(size * share + 2 * (size * share * (1 - share)) ** 0.5)
        assert _is_usual(min(count, size), size * share, 1 - share)
        assert stats.binom.sf(min(count, size) - 1, size, share) > LARGEST_THRESHOLD


def test_dispersion():
    rng = np.random.default_rng(0)
    assert volume_dispersion(rng.poisson([5, 20, 40], (2000, 3))) == pytest.approx(1, abs=0.05)
    assert volume_dispersion(3 * rng.poisson([5, 20, 40], (2000, 3))) == pytest.approx(3, abs=0.15)
    assert volume_dispersion(np.full((10, 3), 7)) == 1


def test_p_values_are_as_often_small_as_they_say():
    """A p-value below 0.01 has a probability of at most 0.01; discrete ones have less."""
    rng = np.random.default_rng(1)
    days = rng.poisson(10, (6_000, 21))
    volume = np.mean([volume_p_value(row[0], row[1:], 1.0) < 0.01 for row in days])
    negative = rng.binomial(20, 0.15, (6_000, 41))
    sizes = np.full(40, 20)
    share = np.mean([share_p_value(row[0], 20, row[1:], sizes) < 0.01 for row in negative])
    assert 0.003 < volume < 0.013
    assert 0.002 < share < 0.013


def test_the_threshold_shares_the_false_alarms_among_all_looks():
    assert Rule(false_alarms=0.5).threshold(4) == pytest.approx(0.5 / (336 * 4 * 2 * 2))


def test_a_surge_of_headlines_is_found_soon_and_alerts_once():
    counts, rule = counts_of(40), Rule()
    begin = 35 * BINS_OF_A_DAY
    counts.all[1, begin : begin + BINS_OF_A_DAY] += 2
    alerts = [look for look, begins in new_surges(looks_in(counts, rule, 30, 40), {}, rule) if begins]
    assert [(look.topic, look.kind) for look in alerts] == [("B", VOLUME)]
    hours = (alerts[0].time / 1800 - MONDAY - begin) / 2
    assert 0 < hours <= 5


def test_a_surge_of_negative_headlines_is_found_although_their_number_is_usual():
    counts, rule = counts_of(40), Rule()
    begin = 36 * BINS_OF_A_DAY
    part = slice(begin, begin + BINS_OF_A_DAY)
    counts.negative[0, part] = counts.all[0, part]
    alerts = [look for look, begins in new_surges(looks_in(counts, rule, 30, 40), {}, rule) if begins]
    assert [(look.topic, look.kind) for look in alerts] == [("A", NEGATIVE)]
    assert alerts[0].expected == pytest.approx(0.1, abs=0.02)
    assert (alerts[0].time / 1800 - MONDAY - begin) / 2 <= 6


def test_false_alarms_stay_below_what_the_rule_allows_for():
    """A week of 24 topics is as 12 weeks of two, so the rule allows for 24 false alarms."""
    rng = np.random.default_rng(3)
    everything = rng.poisson(1.0, (24, 37 * BINS_OF_A_DAY))
    counts = Counts(list(map(str, range(24))), MONDAY, 1800, everything, rng.binomial(everything, 0.1))
    looks = looks_in(counts, Rule(false_alarms=24.0), 30, 37)
    assert 0 < len(looks) < 34


def test_the_past_needs_seven_days_with_headlines():
    counts = counts_of(12)
    counts.all[:, -BINS_OF_A_DAY:] += 5
    assert looks_in(counts, Rule(), 5, 7) == []
    assert looks_in(counts, Rule(), 11, 12)
    counts.all[:, 2 * BINS_OF_A_DAY : 11 * BINS_OF_A_DAY] = 0  # the monitor did not run
    assert looks_in(counts, Rule(), 11, 12) == []


def test_a_daily_rhythm_is_no_surge():
    """Ten times as many headlines at noon as at night, each day."""
    rng = np.random.default_rng(5)
    rate = np.tile(np.where((np.arange(BINS_OF_A_DAY) >= 20) & (np.arange(BINS_OF_A_DAY) < 28), 5.0, 0.5), 40)
    counts = Counts(["A"], MONDAY, 1800, rng.poisson(rate, (1, len(rate))), np.zeros((1, len(rate)), np.int64))
    assert looks_in(counts, Rule(), 30, 40) == []


def test_quiet_weekends_make_no_monday_a_surge():
    rng = np.random.default_rng(6)
    weekend = np.arange(40) % 7 >= 5
    rate = np.repeat(np.where(weekend, 0.3, 2.0), BINS_OF_A_DAY)
    counts = Counts(["A"], MONDAY, 1800, rng.poisson(rate, (1, len(rate))), np.zeros((1, len(rate)), np.int64))
    assert looks_in(counts, Rule(), 29, 40) == []


def test_a_surge_is_over_after_the_cool_down():
    counts, rule = counts_of(45), Rule(cool_down=12)
    for day in (35, 38):
        counts.all[1, day * BINS_OF_A_DAY : day * BINS_OF_A_DAY + 24] += 3
    alerts = [look for look, begins in new_surges(looks_in(counts, rule, 30, 45), {}, rule) if begins]
    assert [int(look.time / 1800 - MONDAY) // BINS_OF_A_DAY for look in alerts] == [35, 38]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"windows": (6, 5)}, "expected a --window that divides 24 hours. Received: 5"),
        ({"windows": (6, 6)}, "expected each --window once. Received: 6, 6"),
        ({"step": 25}, "expected a --step that divides 60 minutes. Received: 25"),
        ({"baseline": 6}, "expected a --baseline of at least 7 days. Received: 6"),
        ({"false_alarms": 0.0}, r"expected --false-alarms above 0. Received: 0.0"),
    ],
)
def test_settings_that_are_not_possible(settings, message):
    with pytest.raises(UsageError, match=message):
        Rule(**settings)

import pytest

from apps.sentiment_monitor.errors import MonitorError
from apps.sentiment_monitor.headline import Headline
from apps.sentiment_monitor.monitor import Monitor, rescore
from apps.sentiment_monitor.scoring import Score, Scorer
from apps.sentiment_monitor.sources.source import Batch
from apps.sentiment_monitor.surges.rule import DAY, HOUR, Rule

MONDAY = 1_767_571_200.0


class ListSource:
    """A source whose batches a test sets."""

    name = "list"

    def __init__(self):
        self.waiting = []

    def poll(self, states, now):
        return self.waiting.pop(0) if self.waiting else Batch()


def past(days):
    """Two headlines an hour about business, each tenth a loss."""
    return [
        Headline(f"{'loss' if number % 10 == 0 else 'report'} {number}", MONDAY + number * HOUR / 2)
        for number in range(days * 48)
    ]


@pytest.fixture
def source():
    return ListSource()


@pytest.fixture
def monitor(store, scorer, source):
    return Monitor(store, scorer, [source], Rule(), ["file alerts.jsonl"])


def alerts(store):
    return [(row["topic"], row["kind"], row["time"]) for row in store.rows("SELECT * FROM alerts ORDER BY id")]


def test_a_surge_makes_one_alert_and_one_delivery(monitor, store, source):
    begin = MONDAY + 30 * DAY
    source.waiting.append(Batch(past(30)))
    monitor.run_once(begin)
    assert alerts(store) == []
    for hour in range(24):
        losses = [Headline(f"loss of hour {hour}, {n}", begin + hour * HOUR + 600 * n) for n in range(3)]
        source.waiting.append(Batch(losses))
        monitor.run_once(begin + (hour + 1) * HOUR)
    (topic, kind, time), *others = alerts(store)
    assert (topic, kind) == ("Business", "negative")
    assert 0 < time - begin <= 3 * HOUR
    # Three headlines an hour instead of two are no surge of headlines.
    assert others == []
    assert len(store.rows("SELECT * FROM deliveries")) == 1
    (row,) = store.rows("SELECT last_time FROM alerts")
    assert row[0] >= begin + 23 * HOUR


def test_a_monitor_that_was_stopped_catches_up(monitor, store, source, scorer):
    begin = MONDAY + 30 * DAY
    source.waiting.append(Batch(past(30)))
    monitor.run_once(begin)
    losses = [Headline(f"loss {number} of many", begin + number * HOUR / 3) for number in range(30)]
    source.waiting.append(Batch(losses))
    Monitor(store, scorer, [source], Rule(), ["file alerts.jsonl"]).run_once(begin + 20 * HOUR)
    ((_, _, time),) = alerts(store)
    assert 0 < time - begin <= 3 * HOUR


def test_surges_of_an_archive_are_shown_and_not_sent(monitor, store, source):
    begin = MONDAY + 30 * DAY
    losses = [Headline(f"loss {number} of many", begin + number * HOUR / 3) for number in range(30)]
    source.waiting.append(Batch(past(30) + losses))
    monitor.run_once(begin + 30 * DAY)
    assert len(alerts(store)) == 1
    assert store.rows("SELECT * FROM deliveries") == []


def test_known_headlines_are_not_scored_again(monitor, source, scorer):
    source.waiting += [Batch([Headline("a", 1.0)], more=True), Batch([Headline("a", 2.0), Headline("b", 2.0)])]
    monitor.run_once(MONDAY)
    assert scorer.scored == ["a", "b"]
    assert monitor.stored == 2


def test_scores_of_other_models_are_refused_until_they_are_replaced(monitor, store, source, scorer):
    source.waiting.append(Batch([Headline("loss", 1.0), Headline("report", 2.0)]))
    monitor.run_once(MONDAY)
    scorer.fingerprint = "other words"
    with pytest.raises(MonitorError, match="run the command rescore with them first"):
        Monitor(store, scorer, [source], Rule())
    scorer.score = lambda texts: [Score("World", 0.5, "positive", 0.1) for _ in texts]
    assert rescore(store, scorer, at_once=1) == 2
    Monitor(store, scorer, [source], Rule())
    assert {row[0] for row in store.rows("SELECT topic FROM headlines")} == {"World"}


@pytest.mark.long
def test_two_models_score_headlines(models):
    scorer = Scorer(*models)
    assert (scorer.topics, scorer.sentiments) == (["Business", "World"], ["negative", "neutral", "positive"])
    (one,), (again, other) = scorer.score(["the cat sat"]), scorer.score(["the cat sat", "a dog ran fast"])
    assert one.topic in scorer.topics
    assert one.sentiment in scorer.sentiments
    assert 0 < one.negative_probability < 1
    assert again.topic == one.topic
    assert again.negative_probability == pytest.approx(one.negative_probability, abs=1e-6)
    assert other.negative_probability != pytest.approx(one.negative_probability, abs=1e-6)
    assert scorer.fingerprint == Scorer(*models).fingerprint != Scorer(models[0], models[1], "positive").fingerprint


@pytest.mark.long
def test_models_that_cannot_be_used(models, embedder):
    with pytest.raises(MonitorError, match="expected a model for classification"):
        Scorer(str(embedder), models[1])
    with pytest.raises(MonitorError, match="expected a model with the label bad"):
        Scorer(*models, negative="bad")

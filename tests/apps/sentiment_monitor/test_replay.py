import csv

import numpy as np
import pytest

from apps.sentiment_monitor.errors import MonitorError
from apps.sentiment_monitor.replay.data_sets import FILES, read_labelled, write_data_sets
from apps.sentiment_monitor.replay.measure import measure
from apps.sentiment_monitor.replay.simulate import write_headlines
from apps.sentiment_monitor.replay.stream import FINANCE, MONDAY, PER_DAY, Plant, Text, draw_stream
from apps.sentiment_monitor.replay.table import table_of
from apps.sentiment_monitor.surges.rule import DAY, HOUR, NEGATIVE, VOLUME, WEEK, Rule
from apps.sentiment_monitor.times import parse_time

TOPICS = ["World", "Sports", "Business", "Sci/Tech"]
# Models that are right about topics, and find nine of ten negative sentences.
TEXTS = [Text("a title", topic, topic=topic) for topic in TOPICS for _ in range(10)]
TEXTS += [Text("a loss", FINANCE, True, "Business", number > 0) for number in range(10)]
TEXTS += [Text("a report", FINANCE, False, "Business") for _ in range(70)]


def rates(stream, topic, begin, end):
    """The headlines a day of a topic, and the share of negative ones."""
    found = [text.found_negative for time, text in stream if text.topic == topic and begin <= time < end]
    return len(found) / ((end - begin) / DAY), np.mean(found)


def test_the_stream_has_the_rhythm_of_days_and_weeks():
    stream = draw_stream(TEXTS, 20, [], np.random.default_rng(0))
    hours = np.array([(time - MONDAY) / HOUR % 24 for time, *_ in stream])
    days = np.array([(time - MONDAY) // DAY % 7 for time, *_ in stream])
    assert 3 < np.mean((hours >= 12) & (hours < 16)) / np.mean(hours < 4) < 6
    assert np.mean(days >= 5) == pytest.approx(1 / 6, abs=0.02)
    per_day, share = rates(stream, "Business", MONDAY, MONDAY + 140 * DAY)
    assert per_day == pytest.approx((PER_DAY["Business"] + PER_DAY[FINANCE]) * 6 / 7, rel=0.05)
    assert share == pytest.approx(0.9 * (1 / 8) * 2 / 3, abs=0.015)


def test_planted_surges_change_what_they_should():
    plants = [
        Plant(NEGATIVE, "Business", MONDAY, MONDAY + 7 * DAY, 0.5),
        Plant(VOLUME, "World", MONDAY, MONDAY + 7 * DAY, 3.0),
    ]
    stream = draw_stream(TEXTS, 4, plants, np.random.default_rng(0))
    during, later = (MONDAY, MONDAY + 7 * DAY), (MONDAY + 14 * DAY, MONDAY + 28 * DAY)
    assert rates(stream, "World", *during)[0] == pytest.approx(3 * rates(stream, "World", *later)[0], rel=0.2)
    assert rates(stream, "Business", *during)[0] == pytest.approx(rates(stream, "Business", *later)[0], rel=0.15)
    assert rates(stream, "Business", *during)[1] == pytest.approx(0.9 * 0.5 * 2 / 3, abs=0.06)


def test_large_surges_are_found_and_calm_weeks_stay_calm():
    found = measure(TEXTS, TOPICS, Rule(step=60), calm_weeks=3, surges=2, seed=1)
    assert found["false_alarms"]["alerts"] <= 1
    assert found["false_alarms"]["high"] > found["false_alarms"]["per_week"]
    by_size = {(row["kind"], row["size"]): row for row in found["detections"]}
    assert by_size[NEGATIVE, 0.7]["found"] + by_size[VOLUME, 3.0]["found"] >= 3
    assert by_size[VOLUME, 3.0]["median_hours"] <= by_size[VOLUME, 3.0]["slowest_hours"] <= 24
    assert by_size[VOLUME, 1.5]["found"] <= by_size[VOLUME, 3.0]["found"]
    accuracies = {"topic": 0.9, "sentiment": 0.8, "finance_as_business": 1.0}
    table = table_of({"accuracies": accuracies, **found})
    assert f"| 3 times as many headlines of a topic | {by_size[VOLUME, 3.0]['found']} of 2 |" in table


@pytest.fixture
def sources(tmp_path):
    with open(tmp_path / "ag.csv", "w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(
            [(number % 4 + 1, f"Title {number}", "Body") for number in range(20)]
        )
        file.write('"1","title  0","Body"\n')
        file.write('"2","Ada #39;s win","Body"\n')
    (tmp_path / "bank.txt").write_text("".join(f"Größe {n} @x@neutral\n" for n in range(10)), encoding="latin-1")
    return tmp_path / "ag.csv", tmp_path / "bank.txt"


def test_the_data_sets_are_split_without_a_text_in_both_parts(sources, tmp_path):
    counts = write_data_sets(*sources, tmp_path / "data")
    assert counts == dict(zip(FILES, [13, 8, 6, 4], strict=True))
    parts = [read_labelled(tmp_path / "data" / name) for name in FILES]
    texts = [text.casefold() for text, _ in parts[0] + parts[1]]
    assert len(set(texts)) == 21
    assert "ada's win" in texts
    assert ("Title 5", "Sports") in parts[0] + parts[1]
    assert {label for _, label in parts[2]} == {"neutral"}
    assert "Größe 1 @x" in [text for text, _ in parts[2] + parts[3]]
    with pytest.raises(MonitorError, match="expected a new folder for --output"):
        write_data_sets(*sources, tmp_path / "data")


def test_data_sets_that_are_something_else(sources, tmp_path):
    ag_news, phrasebank = sources
    ag_news.write_text("5,a,b\n")
    with pytest.raises(MonitorError, match=r"ag.csv: expected a class from 1 to 4"):
        write_data_sets(ag_news, phrasebank, tmp_path / "data")
    ag_news.write_text("1,a,b\n")
    phrasebank.write_text("good@positive\nno label\n")
    with pytest.raises(MonitorError, match=r"bank.txt:2: expected a sentence, @ and its sentiment"):
        write_data_sets(ag_news, phrasebank, tmp_path / "data")


def test_simulated_headlines_end_now(tmp_path):
    now = MONDAY + 40 * WEEK + 3 * DAY
    count = write_headlines(TEXTS, tmp_path / "news" / "headlines.csv", now)
    with open(tmp_path / "news" / "headlines.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    times = [parse_time(row["time"]) for row in rows]
    assert count == len(rows) > 4000
    assert times == sorted(times)
    assert now - HOUR < times[-1] <= now
    assert times[0] < now - 5 * WEEK
    yesterday = now - (now - MONDAY) % DAY - DAY
    recent = [row["text"] for row, time in zip(rows, times, strict=True) if yesterday <= time < yesterday + DAY]
    assert recent.count("a loss") > recent.count("a report")

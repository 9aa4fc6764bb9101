import numpy as np
import pytest
from starlette.testclient import TestClient

from apps.sentiment_monitor.alerts.alert import insert_alert
from apps.sentiment_monitor.headline import Headline, Problem
from apps.sentiment_monitor.page.app import make_app
from apps.sentiment_monitor.page.chart import make_chart
from apps.sentiment_monitor.scoring import Score
from apps.sentiment_monitor.surges.looks import Look
from apps.sentiment_monitor.surges.rule import NEGATIVE

NOW = 1_777_622_400.0
"""1 May 2026, 8 o'clock."""


@pytest.fixture
def client(store):
    with TestClient(make_app(store.path, clock=lambda: NOW)) as client:
        yield client


@pytest.fixture
def filled(store):
    headlines = [Headline(f"<b>headline</b> {number}", NOW - 1800 * number) for number in range(1, 40)]
    scores = [
        Score("World" if number % 2 else "Sci/Tech", 0.9, "negative" if number < 6 else "neutral", 0.4)
        for number in range(1, 40)
    ]
    store.add(headlines, scores, problems=[Problem("a.csv:3", "bad <row>")], now=NOW)
    store.set_state("models", {"topics": ["World", "Sci/Tech", "Sports"], "negative": "negative"})
    with store.transaction() as connection:
        insert_alert(connection, Look("World", NEGATIVE, NOW - 1800, 1e-5, 9, 8, 0.1, 6), "negative", ["file a"])
    return store


def test_the_page_of_an_empty_database(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert "Nothing was read yet." in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_page_shows_topics_alerts_headlines_and_problems(client, filled):
    text = client.get("/?days=1").text
    assert text.count("<article") == 3
    assert "World: surge of negative headlines" in text
    assert "Waits for file a." in text
    assert '<span class="badge">surge</span>' in text
    assert "<title>(!) Sentiment monitor</title>" in text
    assert "&lt;b&gt;headline&lt;/b&gt; 1" in text
    assert "<b>headline" not in text
    assert "bad &lt;row&gt;" in text
    assert 'href="?days=1" aria-current="true"' in text
    assert client.get("/?days=5").text.count('aria-current="true">7 days') == 1


def test_series_and_alerts_as_json(client, filled):
    series = client.get("/api/series?days=1").json()
    assert (series["seconds"], len(series["topics"]["World"]["headlines"])) == (3600, 24)
    assert sum(series["topics"]["World"]["headlines"]) == 20
    assert sum(series["topics"]["World"]["negative"]) == 3
    assert series["topics"]["Sports"]["headlines"] == [0] * 24
    alerts = client.get("/api/alerts").json()
    assert alerts["waiting"] == 1
    assert alerts["alerts"][0]["topic"] == "World"


def test_files_of_the_page(client):
    for name, kind in (("style.css", "text/css"), ("refresh.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        answer = client.get(f"/files/{name}")
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, kind)
    assert client.get("/files/page.html.j2").status_code == 404


def test_the_service_is_unhealthy_when_the_monitor_stands_still(store):
    alive = [NOW - 299]
    with TestClient(make_app(store.path, alive_at=lambda: alive[0], clock=lambda: NOW)) as client:
        assert client.get("/health").status_code == 200
        alive[0] = NOW - 301
        assert client.get("/health").status_code == 503


def test_a_chart_interrupts_its_line_where_there_is_nothing():
    everything, negative = np.array([4, 4, 0, 2, 0]), np.array([1, 3, 0, 2, 0])
    chart = make_chart(everything, negative, begin=NOW, seconds=3600, usual=0.25, alerts=[(NOW + 7200, "alert")])
    assert chart.lines == ["91.2,84.5 193.6,41.5"]
    assert chart.dots == [(398.4, 20.0)]
    assert [mark.text for mark in chart.shares] == ["0%", "50%", "100%"]
    assert [mark.text for mark in chart.volumes] == ["0", "4"]
    assert [bar.title for bar in chart.bars][:1] == ["08:00: 4 headlines, 1 negative"]
    assert chart.usual == 84.5
    assert [(mark.place, mark.text) for mark in chart.alerts] == [(244.8, "alert")]

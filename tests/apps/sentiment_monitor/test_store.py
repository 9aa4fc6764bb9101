import sqlite3

import pytest

from apps.sentiment_monitor.errors import MonitorError
from apps.sentiment_monitor.headline import Headline, Problem
from apps.sentiment_monitor.scoring import Score
from apps.sentiment_monitor.store import Store

SCORE = Score("World", 0.9, "negative", 0.8)


def test_the_same_headline_is_stored_once(store):
    first = Headline("Shares  fall", 1.0, "wire")
    same = Headline("SHARES fall", 99.0, "wire")
    other = Headline("Shares fall", 1.0, "post")
    assert store.unknown([first, same, other]) == [first, other]
    store.add([first], [SCORE], now=5.0)
    assert store.unknown([same, other]) == [other]
    store.add([same], [SCORE], now=5.0)
    assert [tuple(row) for row in store.rows("SELECT text, time FROM headlines")] == [("Shares  fall", 1.0)]


def test_headlines_and_states_are_stored_together_or_not_at_all(store):
    with pytest.raises(TypeError):
        store.add([Headline("a", 1.0)], [SCORE], states={"file:a": object()}, now=5.0)
    assert store.rows("SELECT * FROM headlines") == []
    store.add(
        [Headline("a", 1.0)], [SCORE], states={"file:a": {"offset": 3}}, problems=[Problem("a:2", "bad")], now=5.0
    )
    again = Store(store.path)
    assert again.state("file:a") == {"offset": 3}
    assert again.state("file:b") is None
    assert [tuple(row) for row in again.rows("SELECT * FROM problems")] == [("a:2", "bad", 5.0)]
    again.close()


def test_files_that_are_something_else(tmp_path):
    text = tmp_path / "text.db"
    text.write_text("a text that is no database, and longer than a header of one, which has 100 bytes" * 3)
    with pytest.raises(MonitorError, match="expected a database that can be opened"):
        Store(text)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE films (title TEXT)")
    connection.close()
    with pytest.raises(MonitorError, match="expected a database of this program"):
        Store(other)

"""How many headlines there were, by topic, in bins of time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from apps.sentiment_monitor.store import Store


@dataclass(frozen=True)
class Counts:
    """Headlines of each topic in consecutive bins.

    Args:
        topics: The topics.
        first: The number of the first bin: its beginning, in seconds since 1970, divided by `seconds`.
        seconds: The length of a bin.
        all: The numbers of headlines, int64 [topics, bins].
        negative: The numbers of negative headlines, int64 [topics, bins].
    """

    topics: Sequence[str]
    first: int
    seconds: int
    all: np.ndarray
    negative: np.ndarray

    @classmethod
    def of_events(
        cls, topics: Sequence[str], first: int, bins: int, seconds: int, events: Iterable[tuple[int, str, int, int]]
    ) -> Counts:
        """Makes the counts from numbers of headlines.

        Args:
            topics: The topics; others do not count.
            first: The number of the first bin.
            bins: The number of bins.
            seconds: The length of a bin.
            events: (number of the bin, topic, headlines, negative headlines) in any order.
        """
        place = {topic: index for index, topic in enumerate(topics)}
        counts = np.zeros((2, len(topics), bins), np.int64)
        for number, topic, headlines, negative in events:
            if topic in place and first <= number < first + bins:
                counts[:, place[topic], number - first] += (headlines, negative)
        return cls(topics, first, seconds, counts[0], counts[1])


def stored_counts(store: Store, topics: Sequence[str], negative: str, begin: float, end: float, seconds: int) -> Counts:
    """Returns the counts of a database.

    Args:
        store: The database.
        topics: The topics.
        negative: The negative sentiment.
        begin: Some time in the first bin, in seconds since 1970.
        end: The end of the last bin.
        seconds: The length of a bin.
    """
    first, last = math.floor(begin / seconds), math.ceil(end / seconds)
    rows = store.rows(
        "SELECT CAST(time / ? AS INTEGER), topic, count(*), sum(sentiment = ?) FROM headlines "
        "WHERE time >= ? AND time < ? GROUP BY 1, 2",
        *(seconds, negative, first * seconds, last * seconds),
    )
    return Counts.of_events(topics, first, last - first, seconds, map(tuple, rows))

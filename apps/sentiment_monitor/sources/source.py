"""What all sources have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from apps.sentiment_monitor.headline import Headline, Problem


@dataclass(frozen=True)
class Batch:
    """What a source has read at once, and how far it has come.

    Args:
        headlines: The headlines.
        problems: What could not be read.
        states: How far the source was read, by keys of the table of states. The store writes them in the transaction
            of the headlines, so that a killed program neither loses headlines nor reads them again.
        more: Whether there is more to read at once.
    """

    headlines: list[Headline] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    states: Mapping[str, Any] = field(default_factory=dict)
    more: bool = False


class States(Protocol):
    """The states of sources that the store has."""

    def state(self, key: str) -> Any:
        """Returns the stored state; None if there is none."""
        ...


class Source(Protocol):
    """A source of headlines."""

    name: str

    def poll(self, states: States, now: float) -> Batch:
        """Returns what is new.

        Args:
            states: How far the source was read.
            now: The present time in seconds since 1970, which is the time of headlines without one.
        """
        ...

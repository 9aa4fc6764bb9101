"""Which significant looks are one surge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apps.sentiment_monitor.surges.looks import Look
from apps.sentiment_monitor.surges.rule import HOUR, Rule

OpenSurges = dict[tuple[str, str], float]
"""The time of the last significant look of each topic and kind."""


def new_surges(looks: Iterable[Look], open_surges: OpenSurges, rule: Rule) -> Iterator[tuple[Look, bool]]:
    """Yields each look, and whether a surge begins with it.

    A surge goes on as long as no `rule.cool_down` passes without a significant look of its topic and kind.

    Args:
        looks: Significant looks, in the order of time.
        open_surges: The surges before these looks. It is updated.
        rule: The settings of the rule.
    """
    for look in looks:
        key = look.topic, look.kind
        begins = key not in open_surges or look.time - open_surges[key] > rule.cool_down * HOUR
        open_surges[key] = look.time
        yield look, begins

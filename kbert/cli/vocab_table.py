"""The table of `kbert vocab inspect`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

_SCRIPTS = 6
"""The number of scripts that are shown."""


def print_vocabularies(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints the statistics of vocabularies side by side.

    Args:
        found: The statistics of each vocabulary by its path, as in `VocabularyStatistics.facts`.
    """
    all_facts = list(found.values())
    scripts = _most(facts["entry_scripts"] for facts in all_facts)
    rows = [("", list(found)), _counts("entries", "entries", all_facts)]
    rows += [_inner(kind, "kinds", all_facts) for kind in ("word", "piece", "character", "unused", "special")]
    rows += [_inner(script, "entry_scripts", all_facts) for script in scripts]
    rows += [_counts("never used", "never_used", all_facts), _counts("words of the sample", "words", all_facts)]
    rows.append(("pieces per word", [f"{facts['fertility']:.3f}" for facts in all_facts]))
    rows.append(("words kept whole", [f"{facts['whole']:.2%}" for facts in all_facts]))
    rows.append(("words that are [UNK]", [f"{facts['unknown']:.3%}" for facts in all_facts]))
    if any(facts["too_long"] for facts in all_facts):
        rows.append(("  since they are too long", [f"{facts['too_long']:.3%}" for facts in all_facts]))
    for script in _most(facts["words_by_script"] for facts in all_facts):
        rates = [facts["unknown_by_script"].get(script) for facts in all_facts]
        rows.append((f"  of {script}", ["–" if rate is None else f"{rate:.3%}" for rate in rates]))
    _print_columns(rows)
    for path, facts in found.items():
        if not facts["most_split"]:
            continue
        click.echo(f"\nsplit most ({path}):" if len(found) > 1 else "\nsplit most:")
        for entry in facts["most_split"]:
            click.echo(f"  {entry['word']}  {' '.join(entry['pieces'])}")


def _counts(name: str, key: str, all_facts: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    return name, [f"{facts[key]:,}" for facts in all_facts]


def _inner(name: str, key: str, all_facts: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    return f"  {name}", [f"{facts[key].get(name, 0):,}" for facts in all_facts]


def _most(counts: Iterable[Mapping[str, int]]) -> list[str]:
    """Returns the scripts with the highest counts in any of the vocabularies."""
    highest: dict[str, int] = {}
    for scripts in counts:
        for script, count in scripts.items():
            highest[script] = max(count, highest.get(script, 0))
    return sorted(highest, key=lambda script: (-highest[script], script))[:_SCRIPTS]


def _print_columns(rows: Sequence[tuple[str, list[str]]]) -> None:
    first = max(len(name) for name, _ in rows)
    widths = [max(len(values[column]) for _, values in rows) for column in range(len(rows[0][1]))]
    for name, values in rows:
        cells = "  ".join(value.rjust(width) for value, width in zip(values, widths, strict=True))
        click.echo(f"{name.ljust(first)}  {cells}")

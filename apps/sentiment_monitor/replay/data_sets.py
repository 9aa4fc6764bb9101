"""Training files of both models, and the headlines that are replayed, out of AG News and the Financial PhraseBank."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from apps.sentiment_monitor.errors import MonitorError

TOPICS = ("World", "Sports", "Business", "Sci/Tech")
"""The classes 1 to 4 of AG News."""
FILES = ("topics-train.csv", "topics-replay.csv", "sentiment-train.csv", "sentiment-replay.csv")
_REPLAYED = 0.4
"""The part of the headlines that no model is trained with."""

Labelled = list[tuple[str, str]]
"""Texts with their labels."""


def write_data_sets(ag_news: Path, phrasebank: Path, output: Path, *, seed: int = 0) -> dict[str, int]:
    """Writes the four files FILES, each a table with the columns text and label.

    Args:
        ag_news: A file of AG News: class, title and body, without a header. The titles are used.
        phrasebank: A file of the Financial PhraseBank, with lines such as `Profit rose .@positive` in Latin-1.
        output: The folder of the four files, which must be new.
        seed: Determines which headlines are for training.

    Returns:
        The number of rows of each file.
    """
    if output.exists():
        raise MonitorError(f"expected a new folder for --output. Received: {output}, which exists")
    parts = [*_split(_read_ag_news(ag_news), seed), *_split(_read_phrasebank(phrasebank), seed)]
    output.mkdir(parents=True)
    for name, rows in zip(FILES, parts, strict=True):
        with open(output / name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    return {name: len(rows) for name, rows in zip(FILES, parts, strict=True)}


def read_labelled(path: Path) -> Labelled:
    """Reads a table with the columns text and label."""
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if not {"text", "label"} <= set(reader.fieldnames or ()):
            raise MonitorError(
                f"{path}: expected the columns text and label. Received: {', '.join(reader.fieldnames or ())[:100]}"
            )
        return [(row["text"], row["label"]) for row in reader]


def _read_ag_news(path: Path) -> Labelled:
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    for line, row in enumerate(rows, start=1):
        if len(row) != 3 or row[0] not in ("1", "2", "3", "4"):
            raise MonitorError(
                f"{path}: expected a class from 1 to 4, a title and a body. Received: {row} in row {line}"
            )
    return _without_repeats((_with_quotes(title), TOPICS[int(number) - 1]) for number, title, _ in rows)


def _with_quotes(title: str) -> str:
    """Returns a title with its quotes, of which AG News has the rest of an entity: " #39;" and " quot;"."""
    paired = re.sub(r"\bquot;(.*?) ?\bquot;", r'"\1"', title)
    return html.unescape(re.sub(r" ?(#\d+|\b(?:quot|amp|lt|gt));", r"&\1;", paired))


def _read_phrasebank(path: Path) -> Labelled:
    rows = []
    for line, row in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        text, at, label = row.rpartition("@")
        if not at or label not in ("negative", "neutral", "positive"):
            raise MonitorError(f"{path}:{line}: expected a sentence, @ and its sentiment. Received: {row[:60]!r}")
        rows.append((text, label))
    return _without_repeats(rows)


def _without_repeats(rows: Iterable[tuple[str, str]]) -> Labelled:
    """Returns the rows without those whose text came before, so that no text is in both parts."""
    return list({" ".join(text.split()).casefold(): (" ".join(text.split()), label) for text, label in rows}.values())


def _split(rows: Labelled, seed: int) -> tuple[Labelled, Labelled]:
    order = np.random.default_rng(seed).permutation(len(rows))
    replayed = round(len(rows) * _REPLAYED)
    return [rows[place] for place in order[replayed:]], [rows[place] for place in order[:replayed]]

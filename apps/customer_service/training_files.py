"""Training files made of feedback, for `kbert finetune` and for the next list of FAQs."""

from __future__ import annotations

import collections
import csv
import dataclasses
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import kbert
from apps.customer_service.faqs import Faq
from apps.customer_service.store import Turn

HEADERS: Mapping[str, tuple[str, ...]] = {
    "embedding.csv": ("text", "pair"),
    "classification.csv": ("text", "label"),
    "ranking.jsonl": ("query", "pos", "neg"),
    "faqs.csv": ("id", "question", "answer", "category"),
}
"""The files, and their columns or keys: those that `kbert finetune` expects, and those of a list of FAQs."""


class ExportError(kbert.KbertError):
    """The feedback cannot be written."""


@dataclasses.dataclass(frozen=True)
class Feedback:
    """What customers said about questions and FAQs.

    Args:
        right: The FAQ of each question that has one.
        wrong: Pairs of a question and an FAQ that does not answer it.
        left_out: How many judgements count nowhere: customers disagree, or the FAQ is gone from the list.
    """

    right: Mapping[str, Faq]
    wrong: Sequence[tuple[str, Faq]]
    left_out: int


def feedback_of(turns: Iterable[Turn], faqs: Sequence[Faq]) -> Feedback:
    """Counts the judgements of each question.

    A question and an FAQ belong together if more customers say so than deny it. If that holds for several FAQs, the one
    with the most votes is taken; if they have equally many, none is.

    Args:
        turns: The judged turns.
        faqs: The FAQs of today.
    """
    known = {faq.id: faq for faq in faqs}
    votes: dict[str, collections.Counter[str]] = {}
    left_out = 0
    for turn in turns:
        counted = list(_votes(turn))
        if not counted or any(name not in known for name, _ in counted):
            left_out += 1
            continue
        counter = votes.setdefault(turn.understood.strip(), collections.Counter())
        for name, vote in counted:
            counter[name] += vote
    right: dict[str, Faq] = {}
    wrong: list[tuple[str, Faq]] = []
    for question, counter in votes.items():
        most = max(counter.values())
        best = [name for name, count in counter.items() if count == most > 0]
        if len(best) == 1:
            right[question] = known[best[0]]
        elif len(best) > 1 or not any(count < 0 for count in counter.values()):
            left_out += 1
        wrong.extend((question, known[name]) for name, count in counter.items() if count < 0)
    return Feedback(right, wrong, left_out)


def _votes(turn: Turn) -> Iterator[tuple[str, int]]:
    """Yields the FAQs that a customer judged, with 1 for a right and -1 for a wrong one."""
    if turn.right_faq is not None:
        yield turn.right_faq, 1
    if turn.faq is not None and turn.faq != turn.right_faq and turn.helpful is not None:
        yield turn.faq, 1 if turn.helpful else -1


def write_training_files(folder: str | os.PathLike[str], feedback: Feedback, faqs: Sequence[Faq]) -> dict[str, int]:
    """Writes the files of HEADERS that have rows.

    The files contain the FAQs too, so that a model that is trained with them does not forget what it knew.

    Args:
        folder: The folder, which must be new.
        feedback: What customers said.
        faqs: The FAQs.

    Returns:
        The number of rows of each file.

    Raises:
        ExportError: There is no feedback, or the folder exists.
    """
    folder = Path(folder)
    if folder.exists():
        raise ExportError(f"--output must be a new folder. Received: {folder}, which exists; name another")
    if not feedback.right and not feedback.wrong:
        raise ExportError(
            "expected feedback of customers. Received: none that counts; the buttons of the page below each answer "
            "collect it"
        )
    rows = {name: list(make(feedback, faqs)) for name, make in _MAKERS.items()}
    counts = {name: len(found) for name, found in rows.items() if found}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        complete = Path(temporary) / folder.name
        complete.mkdir()
        for name in counts:
            with open(complete / name, "w", encoding="utf-8", newline="") as file:
                if name.endswith(".jsonl"):
                    for row in rows[name]:
                        file.write(json.dumps(dict(zip(HEADERS[name], row, strict=True)), ensure_ascii=False) + "\n")
                else:
                    writer = csv.writer(file, lineterminator="\n")
                    writer.writerow(HEADERS[name])
                    writer.writerows(rows[name])
        os.rename(complete, folder)
    return counts


def _embedding(feedback: Feedback, faqs: Sequence[Faq]) -> Iterator[tuple[str, ...]]:
    """Yields pairs of texts with the same meaning: a question of a customer or another phrasing, and the FAQ."""
    for faq in faqs:
        yield from ((phrasing, faq.question) for phrasing in faq.questions[1:])
    yield from ((question, faq.question) for question, faq in feedback.right.items() if question != faq.question)


def _classification(feedback: Feedback, faqs: Sequence[Faq]) -> Iterator[tuple[str, ...]]:
    """Yields questions with their categories, if the FAQs have at least two categories."""
    if len({faq.category for faq in faqs} - {""}) < 2:
        return
    for faq in faqs:
        yield from ((phrasing, faq.category) for phrasing in faq.questions if faq.category)
    yield from ((question, faq.category) for question, faq in feedback.right.items() if faq.category)


def _ranking(feedback: Feedback, faqs: Sequence[Faq]) -> Iterator[tuple[Any, ...]]:
    """Yields questions with right and wrong FAQs; kbert draws wrong ones where none are known."""
    wrong: dict[str, list[str]] = {}
    for question, faq in feedback.wrong:
        wrong.setdefault(question, []).append(faq.question)
    for question, faq in feedback.right.items():
        yield question, [faq.question], wrong.get(question, [])


def _faqs(feedback: Feedback, faqs: Sequence[Faq]) -> Iterator[tuple[str, ...]]:
    """Yields the rows of the list of FAQs, with the questions of customers as further phrasings."""
    new: dict[str, list[str]] = {}
    for question, faq in feedback.right.items():
        new.setdefault(faq.id, []).append(question)
    for faq in faqs:
        for phrasing in dict.fromkeys([*faq.questions, *new.get(faq.id, ())]):
            yield faq.id, phrasing, faq.answer, faq.category


_MAKERS = {
    "embedding.csv": _embedding,
    "classification.csv": _classification,
    "ranking.jsonl": _ranking,
    "faqs.csv": _faqs,
}

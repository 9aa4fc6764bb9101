"""Measures the app: on questions with known answers, on the answers themselves, and on dialogues."""

from __future__ import annotations

import dataclasses
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps.customer_service.dialogue import Assistant, PastTurn, Understood
from apps.customer_service.faqs import Faq, FileError, Row
from apps.customer_service.measures import answered_above, auroc, ranks, threshold_for


@dataclasses.dataclass(frozen=True)
class Asked:
    """A question, and the id of the FAQ that answers it."""

    question: str
    faq: str


def asked_of(rows: Sequence[Row], faqs: Sequence[Faq], path: str | os.PathLike[str]) -> list[Asked]:
    """Finds the FAQ of each row: the one with the id of the row, or else the one with its answer.

    Raises:
        FileError: No FAQ has the id or the answer of a row.
    """
    by_id = {faq.id: faq.id for faq in faqs}
    by_answer = {faq.answer: faq.id for faq in reversed(faqs)}
    by_both = {(faq.answer, faq.category): faq.id for faq in faqs}
    asked = []
    for row in rows:
        name = by_id.get(row.id) if row.id else by_both.get((row.answer, row.category)) or by_answer.get(row.answer)
        if name is None:
            raise FileError(
                f"{path}:{row.line}: expected the id or the answer of one of the FAQs. Received: another; questions "
                "without an answer belong into the file of --out-of-scope"
            )
        asked.append(Asked(row.question, name))
    return asked


def evaluate_questions(
    assistant: Assistant,
    asked: Sequence[Asked],
    *,
    precision: float = 0.95,
    out_of_scope: Sequence[str] = (),
    but_themselves: bool = False,
) -> dict[str, float]:
    """Measures answers to questions, and finds the threshold for a precision.

    The threshold is chosen on every second question, and its precision and coverage are measured on the others.

    Args:
        assistant: The assistant.
        asked: The questions, with the ids of their FAQs, at least two.
        precision: The part of the answers that shall be right.
        out_of_scope: Questions that no FAQ answers.
        but_themselves: Whether phrasings that are equal to the question are left out, as if the FAQ lacked them.

    Returns:
        The measures by name.
    """
    found = assistant.understand([(each.question, ()) for each in asked], but_themselves=but_themselves)
    names = [each.faq for each in asked]
    confidences = [understood.confidence for understood in found]
    right = [understood.candidates[0].faq.id == name for understood, name in zip(found, names, strict=True)]
    threshold = threshold_for(precision, confidences[::2], right[::2])
    chosen = answered_above(threshold, confidences[1::2], right[1::2])
    scores = [understood.candidates[0].score for understood in found]
    by_score = answered_above(threshold_for(precision, scores[::2], right[::2]), scores[1::2], right[1::2])
    used = answered_above(assistant.policy.threshold, confidences, right)
    measures = {
        "questions": len(asked),
        **ranks(_found_ids(found), names),
        f"threshold for a precision of {precision:g}": threshold,
        "precision with it": chosen.precision,
        "coverage with it": chosen.coverage,
        "coverage by the score alone": by_score.coverage,
        "threshold in use": used.threshold,
        "precision in use": used.precision,
        "coverage in use": used.coverage,
    }
    if out_of_scope:
        outside = [understood.confidence for understood in assistant.understand([(each, ()) for each in out_of_scope])]
        measures |= {
            "out-of-scope questions": len(outside),
            "out-of-scope AUROC": auroc(confidences, outside),
            "out-of-scope answered in use": answered_above(used.threshold, outside, [False] * len(outside)).coverage,
        }
    return measures


def phrasings_of(faqs: Sequence[Faq], most: int = 2000, seed: int = 0) -> list[Asked]:
    """Returns the phrasings of the FAQs that have several, at most some of them, which are drawn at random.

    With `but_themselves`, each is a question that a customer might ask.
    """
    asked = [Asked(question, faq.id) for faq in faqs if len(faq.questions) > 1 for question in faq.questions]
    return random.Random(seed).sample(asked, most) if len(asked) > most else asked


def evaluate_answers(assistant: Assistant) -> dict[str, float]:
    """Measures without other questions: each answer must find its own FAQ.

    Customers do not ask so, but the measure needs no labels, and it compares models on the FAQs at hand.
    """
    faqs = list(assistant.faqs.values())
    found = assistant.understand([(faq.answer, ()) for faq in faqs])
    return {"answers": len(faqs), **ranks(_found_ids(found), [faq.id for faq in faqs])}


def _found_ids(found: Sequence[Understood]) -> list[list[str]]:
    return [[candidate.faq.id for candidate in understood.candidates] for understood in found]


# === Dialogues ===


@dataclasses.dataclass(frozen=True)
class Said:
    """What a customer said in a dialogue.

    Args:
        dialogue: The number of the dialogue.
        text: The text.
        intent: The intent, which is the answer that is wanted.
        past: What the customer said before.
        follows: Whether the intent is that of the turn before.
    """

    dialogue: int
    text: str
    intent: str
    past: tuple[PastTurn, ...]
    follows: bool


def read_dialogues(path: str | os.PathLike[str]) -> list[Said]:
    """Reads what customers say in dialogues, if an intent is given for it.

    Args:
        path: JSON lines {"turns": [{"speaker": "U", "text": …, "intent": …}, …]}; other speakers are skipped.

    Raises:
        FileError: A line is something else.
    """
    said = []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise FileError(f"expected dialogues in JSON lines, UTF-8. Received: {path} ({problem})") from None
    for number, line in enumerate(lines, start=1):
        try:
            turns: list[Any] = [turn for turn in json.loads(line)["turns"] if turn["speaker"] == "U"]
            texts = [turn["text"] + "" for turn in turns]
        except (ValueError, KeyError, TypeError):
            raise FileError(
                f'{path}:{number}: expected {{"turns": [{{"speaker": "U", "text": …, "intent": …}}]}}. Received: '
                "something else"
            ) from None
        intents = [turn.get("intent") for turn in turns]
        for place, (text, intent) in enumerate(zip(texts, intents, strict=True)):
            if intent:
                past = tuple(PastTurn(each) for each in texts[:place])
                said.append(Said(number, text, intent, past, place > 0 and intents[place - 1] == intent))
    if not said:
        raise FileError(f"{path}: expected turns of the speaker U with an intent. Received: none")
    return said


def split_dialogues(said: Sequence[Said], seed: int = 0) -> tuple[list[Faq], list[Said]]:
    """Makes FAQs of four fifths of the dialogues, and returns them and what is said in the others.

    An FAQ has an intent as its answer; its questions are the turns in which customers come to this intent, since these
    can be understood alone, as the questions of FAQs can.
    """
    dialogues = sorted({each.dialogue for each in said})
    held_out = set(random.Random(seed).sample(dialogues, max(1, len(dialogues) // 5)))
    questions: dict[str, dict[str, None]] = {}
    for each in said:
        if each.dialogue not in held_out and not each.follows:
            questions.setdefault(each.intent, {})[each.text] = None
    faqs = [Faq(intent, tuple(texts), intent, intent) for intent, texts in sorted(questions.items())]
    return faqs, [each for each in said if each.dialogue in held_out]


def evaluate_dialogues(assistant: Assistant, said: Sequence[Said]) -> dict[str, float]:
    """Measures how often the intent of a turn is found: in the turn alone, and with the turn before.

    Args:
        assistant: The assistant, whose FAQs have the intents as ids.
        said: What customers say.

    Returns:
        The measures by name, for all turns, for those that follow the intent of the turn before, and for the others.
    """
    measures: dict[str, float] = {"turns": len(said)}
    alone = assistant.understand([(each.text, ()) for each in said])
    context = assistant.understand([(each.text, each.past) for each in said])
    kinds = {"": (True, False), ", intent of the turn before": (True,), ", new intent": (False,)}
    for kind, follows in kinds.items():
        chosen = [place for place, each in enumerate(said) if each.follows in follows]
        for name, found in (("alone", alone), ("with context", context)) if chosen else ():
            right = [found[place].candidates[0].faq.id == said[place].intent for place in chosen]
            measures[f"accuracy {name}{kind}"] = sum(right) / len(right)
            if not kind:
                answered = answered_above(assistant.policy.threshold, [each.confidence for each in found], right)
                measures |= {f"coverage {name}": answered.coverage, f"precision {name}": answered.precision}
    return measures

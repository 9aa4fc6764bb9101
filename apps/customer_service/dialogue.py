"""The policy of a conversation: how a question is understood, and whether it is answered or handed over."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence

import numpy as np

from apps.customer_service import languages
from apps.customer_service.faqs import Faq
from apps.customer_service.models import Intent
from apps.customer_service.retrieval import Candidate, Retriever

ANSWER, SMALL_TALK, HAND_OVER = "answer", "small_talk", "hand_over"
"""The decisions."""
CONTEXT_WEIGHT = 0.5
"""The weight of the scores of the question with the one before it; the rest is that of the question alone.

The README has the figures for related and unrelated questions before.
"""
_AT_ONCE = 256
"""The number of questions that are searched together."""


@dataclasses.dataclass(frozen=True)
class Policy:
    """When the app answers.

    Args:
        threshold: The least confidence of an answer that is given; the app hands over below it.
        suggestions: The number of FAQs that are suggested at a hand-over.
        person_categories: The categories of questions that are always handed over.
        failures: The number of unhelpful answers in a row after which the app hands over.
    """

    threshold: float
    suggestions: int = 3
    person_categories: Collection[str] = ()
    failures: int = 2


@dataclasses.dataclass(frozen=True)
class PastTurn:
    """What the policy knows about an earlier question of the conversation.

    Args:
        understood: The text that was searched.
        helpful: Whether the customer found the answer helpful; None if they did not say.
    """

    understood: str
    helpful: bool | None = None


@dataclasses.dataclass(frozen=True)
class Reply:
    """What the app says to a question.

    Args:
        decision: ANSWER, SMALL_TALK or HAND_OVER.
        text: The answer, or why the question is handed over.
        language: "en" or "zh": the language of the question.
        reason: Why the question is handed over: "unsure", "unreadable", "person", "category" or "repeated"; else "".
        faq: The FAQ of the answer; None without an answer.
        confidence: The confidence in the best FAQ; see `confidence_of`.
        understood: The text that was searched: the question, or the question before and this one.
        suggestions: The nearest FAQs apart from the answer, best first.
        intent: What the classifier of intents said, if there is one.
    """

    decision: str
    text: str
    language: str
    reason: str = ""
    faq: Faq | None = None
    confidence: float = 0.0
    understood: str = ""
    suggestions: tuple[Candidate, ...] = ()
    intent: Intent | None = None


@dataclasses.dataclass(frozen=True)
class Understood:
    """How a question is understood.

    Args:
        text: The text that was searched: the question, or the question before and this one.
        candidates: The candidates, best first.
        intent: What the classifier of intents said, if there is one.
        confidence: The confidence in the first candidate.
    """

    text: str
    candidates: tuple[Candidate, ...]
    intent: Intent | None
    confidence: float


class Assistant:
    """Replies to questions.

    Args:
        faqs: The FAQs.
        make_retriever: Makes the retriever of these FAQs and of the app's own entries.
        policy: When the app answers.
        intents: Classifies questions into the categories of the FAQs, if there is a model for it.

    Example:
        >>> from apps.customer_service.dialogue import Assistant, Policy
        >>> from apps.customer_service.faqs import Faq
        >>> from apps.customer_service.retrieval import Retriever
        >>> from apps.customer_service.word_search import WordSearch
        >>> faqs = [Faq("price", ("What does a ticket cost?",), "It costs 3 euros.")]
        >>> assistant = Assistant(faqs, lambda faqs: Retriever(faqs, WordSearch), Policy(threshold=0.5))
        >>> assistant.reply("How much does a ticket cost?").text
        'It costs 3 euros.'
        >>> assistant.reply("Where is the station?").reason
        'unsure'
    """

    def __init__(
        self,
        faqs: Sequence[Faq],
        make_retriever: Callable[[Sequence[Faq]], Retriever],
        policy: Policy,
        intents: Callable[[Sequence[str]], list[Intent]] | None = None,
    ) -> None:
        self.faqs = {faq.id: faq for faq in faqs}
        self.policy = policy
        self._retriever = make_retriever([*faqs, *languages.own_entries(faqs)])
        self._intents = intents

    @property
    def search_name(self) -> str:
        """What the search compares, for people."""
        return self._retriever.search.name

    def reply(self, question: str, past: Sequence[PastTurn] = ()) -> Reply:
        """Returns the reply to a question.

        Args:
            question: The question, not empty.
            past: The earlier questions of the conversation, in their order.
        """
        language = languages.language_of(question)
        if not self._retriever.search.reads(question):
            return _handed_over("unreadable", Reply(HAND_OVER, "", language, understood=question))
        (found,) = self.understand([(question, past)])
        best, is_sure = found.candidates[0], found.confidence >= self.policy.threshold
        nearest = [candidate for candidate in found.candidates if candidate.faq.id in self.faqs]
        reply = Reply(
            HAND_OVER,
            "",
            language,
            confidence=found.confidence,
            understood=found.text,
            suggestions=tuple(nearest[: self.policy.suggestions]),
            intent=found.intent,
        )
        if is_sure and best.faq.id in (languages.THANKS, languages.GREETING):
            text = languages.message(language, best.faq.id)
            return dataclasses.replace(reply, decision=SMALL_TALK, text=text, suggestions=())
        if is_sure and best.faq.id == languages.PERSON:
            return _handed_over("person", reply)
        if self._is_for_a_person(found, is_sure):
            return _handed_over("category", dataclasses.replace(reply, suggestions=()))
        if _failures(past) >= self.policy.failures:
            return _handed_over("repeated", reply)
        if not is_sure:
            return _handed_over("unsure", reply)
        others = tuple(nearest[1 : self.policy.suggestions + 1])
        return dataclasses.replace(reply, decision=ANSWER, text=best.faq.answer, faq=best.faq, suggestions=others)

    def _is_for_a_person(self, found: Understood, is_sure: bool) -> bool:
        """Returns whether the FAQ or the intent has a category whose questions are always handed over."""
        categories = {found.candidates[0].faq.category} if is_sure else set()
        if found.intent is not None and not found.intent.abstained:
            categories.add(found.intent.category)
        return bool(categories & set(self.policy.person_categories))

    def understand(
        self, questions: Sequence[tuple[str, Sequence[PastTurn]]], *, but_themselves: bool = False
    ) -> list[Understood]:
        """Finds candidates for questions: alone, and where that is not sure, together with the question before.

        Args:
            questions: The questions, each with the earlier questions of its conversation.
            but_themselves: Whether phrasings that are equal to the question are left out, as if the FAQ lacked them.
        """
        found = []
        for start in range(0, len(questions), _AT_ONCE):
            part = questions[start : start + _AT_ONCE]
            texts = [text for text, _ in part]
            scores = self._retriever.scores(texts, but_themselves=but_themselves)
            alone = self._understood(texts, scores)
            unsure = [
                place
                for place, (_, past) in enumerate(part)
                if past and alone[place].confidence < self.policy.threshold
            ]
            if unsure:
                joined = [f"{part[place][1][-1].understood} {texts[place]}" for place in unsure]
                together = self._retriever.scores(joined, but_themselves=but_themselves)
                mixed = (1 - CONTEXT_WEIGHT) * scores[unsure] + CONTEXT_WEIGHT * together
                for place, understood in zip(unsure, self._understood(joined, mixed), strict=True):
                    alone[place] = understood
            found.extend(alone)
        return found

    def _understood(self, texts: Sequence[str], scores: np.ndarray) -> list[Understood]:
        intents = self._intents(texts) if self._intents else [None] * len(texts)
        found = []
        for text, row, intent in zip(texts, scores, intents, strict=True):
            candidates = prefer_intent(self._retriever.candidates(text, row), intent)
            found.append(Understood(text, tuple(candidates), intent, confidence_of(candidates)))
        return found


def confidence_of(candidates: Sequence[Candidate]) -> float:
    """Returns the confidence in the first candidate: its score, and its lead over the best of the others.

    Two FAQs that are equally near make the choice between them unsure, however near they are.

    Args:
        candidates: The candidates, at least one.

    Example:
        >>> from apps.customer_service.dialogue import confidence_of
        >>> from apps.customer_service.faqs import Faq
        >>> from apps.customer_service.retrieval import Candidate
        >>> a, b = Faq("a", ("A?",), "A."), Faq("b", ("B?",), "B.")
        >>> confidence_of([Candidate(a, 0.75, "A?"), Candidate(b, 0.5, "B?")])
        1.0
    """
    best = candidates[0].score
    return best + (best - max(candidate.score for candidate in candidates[1:]) if len(candidates) > 1 else 0.0)


def prefer_intent(candidates: Sequence[Candidate], intent: Intent | None) -> list[Candidate]:
    """Moves the candidates of the intent's category to the front, unless the classifier abstained."""
    if intent is None or intent.abstained:
        return list(candidates)
    return sorted(candidates, key=lambda candidate: candidate.faq.category != intent.category)


def _handed_over(reason: str, reply: Reply) -> Reply:
    return dataclasses.replace(reply, reason=reason, text=languages.message(reply.language, reason))


def _failures(past: Sequence[PastTurn]) -> int:
    """Returns the number of unhelpful answers at the end of the conversation, without one between that helped."""
    count = 0
    for turn in reversed(past):
        if turn.helpful is not False:
            break
        count += 1
    return count

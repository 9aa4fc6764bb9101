"""From a question to the FAQs that may answer it, best first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from apps.customer_service.faqs import Faq

DEPTH = 10
"""The number of candidates of a question, which is also the number of FAQs that a re-ranker reads."""

ReRanker = Callable[[str, Sequence[str]], Sequence[float]]
"""A function from a question and phrasings to the scores of the phrasings."""


class Search(Protocol):
    """A search in a list of N texts."""

    @property
    def name(self) -> str:
        """What the search compares, for people."""
        ...

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the similarities of texts and the texts that are searched, float32 [Q, N], at most 1."""
        ...

    def reads(self, text: str) -> bool:
        """Returns whether the search knows at least half of the text."""
        ...


MakeSearch = Callable[[Sequence[str]], Search]
"""A function from the texts that are searched to the search."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An FAQ that may answer a question.

    Args:
        faq: The FAQ.
        score: How near its nearest phrasing is: a cosine, or the score of the re-ranker.
        phrasing: The nearest phrasing.
    """

    faq: Faq
    score: float
    phrasing: str


class Retriever:
    """Finds the FAQs whose phrasings are nearest to a question.

    Args:
        faqs: The FAQs.
        make_search: Makes the search in all phrasings.
        re_ranker: Scores the candidates once more, with a model that reads question and phrasing together.

    Example:
        >>> from apps.customer_service.faqs import Faq
        >>> from apps.customer_service.retrieval import Retriever
        >>> from apps.customer_service.word_search import WordSearch
        >>> faqs = [Faq("a", ("Where is my card?", "My card is lost"), "We look."), Faq("b", ("How do I pay?",), "So.")]
        >>> retriever = Retriever(faqs, WordSearch)
        >>> found = retriever.candidates("I lost my card", retriever.scores(["I lost my card"])[0])
        >>> found[0].faq.id, found[0].phrasing
        ('a', 'My card is lost')
    """

    def __init__(self, faqs: Sequence[Faq], make_search: MakeSearch, re_ranker: ReRanker | None = None) -> None:
        self._faqs = list(faqs)
        self._phrasings = [question for faq in faqs for question in faq.questions]
        self._starts = np.cumsum([0, *(len(faq.questions) for faq in faqs)])
        self.search = make_search(self._phrasings)
        self._re_ranker = re_ranker

    def scores(self, texts: Sequence[str], *, but_themselves: bool = False) -> np.ndarray:
        """Returns the scores of all phrasings, in the order of the FAQs, float32 [Q, N].

        Args:
            texts: The texts.
            but_themselves: Whether phrasings that are equal to the text get the score -1, as if the FAQ lacked them.
        """
        scores = self.search.scores(texts)
        if but_themselves:
            places: dict[str, list[int]] = {}
            for place, phrasing in enumerate(self._phrasings):
                places.setdefault(phrasing, []).append(place)
            for row, text in zip(scores, texts, strict=True):
                row[places.get(text, [])] = -1.0
        return scores

    def candidates(self, text: str, scores: np.ndarray) -> list[Candidate]:
        """Returns the best candidates, best first.

        Args:
            text: The text that a re-ranker reads.
            scores: The scores of all phrasings, float32 [N].
        """
        best = np.maximum.reduceat(scores, self._starts[:-1])
        found = []
        for number in np.argsort(-best, kind="stable")[:DEPTH]:
            start, end = self._starts[number : number + 2]
            phrasing = self._phrasings[start + int(scores[start:end].argmax())]
            found.append(Candidate(self._faqs[number], float(best[number]), phrasing))
        if self._re_ranker is None:
            return found
        new = self._re_ranker(text, [candidate.phrasing for candidate in found])
        ranked = [dataclasses.replace(each, score=float(score)) for each, score in zip(found, new, strict=True)]
        return sorted(ranked, key=lambda each: -each.score)

"""From a question to the FAQs that may answer it, best first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from apps.customer_service.faqs import Faq
from apps.customer_service.hits import Search

FOUND = 50
"""The number of phrasings that a search returns."""
DEPTH = 10
"""The number of FAQs that a re-ranker reads."""

ReRanker = Callable[[str, Sequence[str]], Sequence[float]]
"""A function from a question and phrasings to the scores of the phrasings."""
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
        re_ranker: Scores the best FAQs once more, with a model that reads question and phrasing together.

    Example:
        >>> from apps.customer_service.faqs import Faq
        >>> from apps.customer_service.retrieval import Retriever
        >>> from apps.customer_service.word_search import WordSearch
        >>> faqs = [Faq("a", ("Where is my card?", "My card is lost"), "We look."), Faq("b", ("How do I pay?",), "So.")]
        >>> (found,) = Retriever(faqs, WordSearch).find(["I lost my card"])
        >>> found[0].faq.id, found[0].phrasing
        ('a', 'My card is lost')
    """

    def __init__(self, faqs: Sequence[Faq], make_search: MakeSearch, re_ranker: ReRanker | None = None) -> None:
        self.faqs: Mapping[str, Faq] = {faq.id: faq for faq in faqs}
        self._owners = [faq for faq in faqs for _ in faq.questions]
        self._phrasings = [question for faq in faqs for question in faq.questions]
        self.search = make_search(self._phrasings)
        self._re_ranker = re_ranker

    def find(self, questions: Sequence[str], *, but_themselves: bool = False) -> list[list[Candidate]]:
        """Returns the candidates for each question, best first, each FAQ once.

        Args:
            questions: The questions.
            but_themselves: Whether phrasings that are equal to the question are left out, as if the FAQ lacked them.
        """
        found = []
        for question, hits in zip(questions, self.search(questions, FOUND), strict=True):
            best: dict[str, Candidate] = {}
            for hit in hits:
                faq = self._owners[hit.place]
                if faq.id not in best and not (but_themselves and self._phrasings[hit.place] == question):
                    best[faq.id] = Candidate(faq, hit.score, self._phrasings[hit.place])
            candidates = list(best.values())
            found.append(self._re_ranked(question, candidates) if self._re_ranker else candidates)
        return found

    def _re_ranked(self, question: str, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Returns the first DEPTH candidates with the scores of the re-ranker, best first."""
        assert self._re_ranker is not None
        read = candidates[:DEPTH]
        scores = self._re_ranker(question, [candidate.phrasing for candidate in read])
        ranked = [dataclasses.replace(each, score=float(score)) for each, score in zip(read, scores, strict=True)]
        return sorted(ranked, key=lambda each: -each.score)

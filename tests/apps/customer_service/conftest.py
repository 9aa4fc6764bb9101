"""Fixtures for the customer service: a list of FAQs, and the app with it."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[3]
if importlib.util.find_spec("apps") is None:
    # At the end, so that an installed kbert is tested where there is one.
    sys.path.append(str(REPOSITORY))

FAQS = """id,question,answer,category
price,What does a ticket cost?,"A ticket costs 3 euros.
Cards are accepted.",tickets
price,How much is a ticket?,"A ticket costs 3 euros.
Cards are accepted.",tickets
child,How much is a ticket for a child?,Children travel for 1 euro.,tickets
lost,I lost my bag on the tram,"See https://example.org/lost, please.",lost property
refund,Can I return my ticket?,A person decides about refunds.,complaints
"""


@pytest.fixture
def faq_file(tmp_path):
    path = tmp_path / "faq.csv"
    path.write_text(FAQS, encoding="utf-8")
    return path


@pytest.fixture
def faqs(faq_file):
    from apps.customer_service.faqs import read_faqs

    return read_faqs(faq_file)


class CommonWords:
    """A search whose scores can be counted by hand: twice the common words, divided by the words of both texts."""

    name = "common words"

    def __init__(self, texts):
        self.texts = [self.words(text) for text in texts]

    def scores(self, texts):
        asked = [self.words(text) for text in texts]
        found = [[2 * len(a & b) / (len(a) + len(b)) if a or b else 0.0 for b in self.texts] for a in asked]
        return np.array(found, np.float32)

    def reads(self, text):
        return bool(self.words(text))

    @staticmethod
    def words(text):
        return set(re.findall(r"[\u4e00-\u9fff]|[a-z0-9]+", text.lower()))


@pytest.fixture
def make_assistant(faqs):
    """Makes an assistant that counts common words."""
    from apps.customer_service.dialogue import Assistant, Policy
    from apps.customer_service.retrieval import Retriever

    def make(listed=faqs, *, intents=None, re_ranker=None, search=CommonWords, **policy):
        settings = Policy(**{"threshold": 0.6, **policy})
        return Assistant(listed, lambda each: Retriever(each, search, re_ranker), settings, intents)

    return make


@pytest.fixture
def store(tmp_path):
    from apps.customer_service.store import Store

    kept = Store(tmp_path / "store.sqlite")
    yield kept
    kept.close()

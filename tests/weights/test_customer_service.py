"""apps/customer_service with real weights, on its own examples."""

from pathlib import Path

import pytest

from apps.customer_service import evaluation
from apps.customer_service.assembly import Models, make_assistant
from apps.customer_service.dialogue import ANSWER, SMALL_TALK, PastTurn
from apps.customer_service.faqs import read_faqs, read_rows

pytestmark = pytest.mark.weights
EXAMPLE = Path(__file__).parents[2] / "apps" / "customer_service" / "example"


def measured(models, language=""):
    faqs = read_faqs(EXAMPLE / f"faq{language}.csv")
    path = EXAMPLE / f"questions{language}.csv"
    asked = evaluation.asked_of(read_rows(path, answers=False), faqs, path)
    return evaluation.evaluate_questions(make_assistant(faqs, models), asked)


def test_english(minilm):
    found = measured(Models(minilm))
    assert found["questions"] == 38
    assert found["recall@1"] > 0.7
    assert found["recall@5"] > 0.95
    assert measured(Models("words"))["recall@1"] < 0.5


def test_a_conversation(minilm):
    assistant = make_assistant(read_faqs(EXAMPLE / "faq.csv"), Models(minilm), threshold=0.6)
    first = assistant.reply("What does a ticket cost?")
    assert (first.decision, first.faq.id) == (ANSWER, "price")
    second = assistant.reply("and for a child?", [PastTurn(first.understood)])
    assert (second.decision, second.faq.id) == (ANSWER, "child")
    assert assistant.reply("Thanks a lot!").decision == SMALL_TALK
    assert assistant.reply("Could I talk to a human?").reason == "person"
    assert assistant.reply("Which football club is the best?").reason == "unsure"
    assert assistant.reply("怎么交罚款？").reason in ("unsure", "unreadable")


def test_chinese(e5):
    found = measured(Models(e5, pooling="mean", query_prompt="query: ", faq_prompt="query: "), "_zh")
    assert found["questions"] == 38
    assert found["recall@1"] > 0.45
    assert found["recall@5"] > 0.8

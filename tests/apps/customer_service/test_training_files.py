import csv
import json

import pytest

from apps.customer_service.faqs import read_faqs
from apps.customer_service.store import Turn
from apps.customer_service.training_files import ExportError, feedback_of, write_training_files


def turn(text, faq=None, helpful=None, right=None):
    return Turn("c", 1, 0.0, text, text, "answer", "", faq, 0.5, helpful, right)


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


def test_votes_decide(faqs):
    found = feedback_of(
        [
            turn("price for kids", "price", False, "child"),
            turn("price for kids", "child", True),
            turn("where is my bag", "lost", True),
            turn("where is my bag", "refund", False),
            # One for, one against: nobody knows.
            turn("tram", "lost", True),
            turn("tram", "lost", False),
            # The FAQ was removed from the list.
            turn("old", "gone", True),
            # A hand-over that the customer only disliked.
            turn("hm", None, False),
        ],
        faqs,
    )
    assert {question: faq.id for question, faq in found.right.items()} == {
        "price for kids": "child",
        "where is my bag": "lost",
    }
    assert [(question, faq.id) for question, faq in found.wrong] == [
        ("price for kids", "price"),
        ("where is my bag", "refund"),
    ]
    assert found.left_out == 3


def test_the_files(tmp_path, faqs):
    found = feedback_of([turn("kids, how much?", "price", False, "child"), turn("hm", "lost", False)], faqs)
    counts = write_training_files(tmp_path / "new" / "out", found, faqs)
    assert counts == {"embedding.csv": 2, "classification.csv": 6, "ranking.jsonl": 1, "faqs.csv": 6}
    assert rows(tmp_path / "new" / "out" / "embedding.csv") == [
        ("text", "pair"),
        ("How much is a ticket?", "What does a ticket cost?"),
        ("kids, how much?", "How much is a ticket for a child?"),
    ]
    (line,) = (tmp_path / "new" / "out" / "ranking.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "query": "kids, how much?",
        "pos": ["How much is a ticket for a child?"],
        "neg": ["What does a ticket cost?"],
    }
    assert rows(tmp_path / "new" / "out" / "classification.csv")[-1] == ("kids, how much?", "tickets")
    (child,) = [faq for faq in read_faqs(tmp_path / "new" / "out" / "faqs.csv") if faq.id == "child"]
    assert child.questions == ("How much is a ticket for a child?", "kids, how much?")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_nothing_is_written_twice_or_without_feedback(tmp_path, faqs):
    with pytest.raises(ExportError, match=r"^expected feedback of customers\. Received: none that counts;"):
        write_training_files(tmp_path / "out", feedback_of([], faqs), faqs)
    assert not (tmp_path / "out").exists()
    found = feedback_of([turn("x", "lost", True)], faqs)
    write_training_files(tmp_path / "out", found, faqs)
    with pytest.raises(ExportError, match=r"^--output must be a new folder\. Received: .*, which exists; name another"):
        write_training_files(tmp_path / "out", found, faqs)

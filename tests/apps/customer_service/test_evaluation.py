import json

import pytest

from apps.customer_service import evaluation
from apps.customer_service.evaluation import Asked
from apps.customer_service.faqs import FileError, Row
from apps.customer_service.measures import threshold_for


def test_questions_find_their_faqs_by_id_or_answer(faqs):
    rows = [Row("a", "", id="child", line=2), Row("b", "Children travel for 1 euro.", line=3)]
    assert evaluation.asked_of(rows, faqs, "q.csv") == [Asked("a", "child"), Asked("b", "child")]
    with pytest.raises(
        FileError, match=r"^q\.csv:4: expected the id or the answer of one of the FAQs\. Received: anoth"
    ):
        evaluation.asked_of([*rows, Row("c", "Nobody knows.", line=4)], faqs, "q.csv")


def test_questions(make_assistant):
    asked = [
        Asked("How much is a ticket?", "price"),
        Asked("What does a ticket cost?", "price"),
        Asked("I lost my bag", "lost"),
        Asked("How much is a ticket for a child?", "price"),  # answered otherwise, and with certainty
    ]
    found = evaluation.evaluate_questions(
        make_assistant(), asked, precision=1.0, out_of_scope=["Where is the moon?", "How much is a ticket?"]
    )
    assert found["questions"] == 4
    assert (found["recall@1"], found["recall@5"], found["mrr"]) == (0.75, 1.0, 0.875)
    assert found["coverage in use"] == 1.0
    assert found["precision in use"] == 0.75
    # The first and the third question choose the threshold; the second is right, and the fourth is wrong.
    assert 0.5 < found["threshold for a precision of 1"] < 2
    assert (found["coverage with it"], found["precision with it"]) == (1.0, 0.5)
    assert found["out-of-scope answered in use"] == 0.5
    assert 0.5 <= found["out-of-scope AUROC"] < 1


def test_a_threshold_that_does_not_exist():
    assert threshold_for(0.9, [0.5, 0.5, 0.7], [True, True, True]) == 0.5
    assert threshold_for(0.9, [0.5, 0.5, 0.7], [True, False, True]) == 0.7
    assert threshold_for(0.9, [0.5, 0.7], [True, False]) > 0.7


def test_phrasings_without_themselves(make_assistant, faqs):
    asked = evaluation.phrasings_of(faqs)
    assert asked == [Asked("What does a ticket cost?", "price"), Asked("How much is a ticket?", "price")]
    assistant = make_assistant()
    assert evaluation.evaluate_questions(assistant, asked)["recall@1"] == 1.0
    # "How much is a ticket?" is nearer to the ticket for a child than to "What does a ticket cost?".
    assert evaluation.evaluate_questions(assistant, asked, but_themselves=True)["recall@1"] == 0.5
    assert len(evaluation.phrasings_of(faqs, most=1)) == 1


def test_answers_alone(make_assistant):
    found = evaluation.evaluate_answers(make_assistant())
    assert found["answers"] == 4
    assert 0 < found["recall@1"] <= found["recall@5"] <= 1


@pytest.fixture
def dialogues(tmp_path):
    """Ten dialogues in which a customer asks for a table or a taxi, and adds something that says nothing by itself."""
    path = tmp_path / "dialogues.jsonl"
    lines = []
    for number in range(10):
        thing, intent = ("table", "Reserve") if number % 2 else ("taxi", "Ride")
        turns = [
            {"speaker": "U", "text": f"I need a {thing} today", "intent": intent},
            {"speaker": "S", "text": "For whom?"},
            {"speaker": "U", "text": "at nine", "intent": intent},
            {"speaker": "U", "text": "bye"},
        ]
        lines.append(json.dumps({"id": number, "turns": turns}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_context_in_dialogues(make_assistant, dialogues):
    said = evaluation.read_dialogues(dialogues)
    assert len(said) == 20
    assert (said[1].text, said[1].intent, said[1].follows) == ("at nine", "Ride", True)
    faqs, questions = evaluation.split_dialogues(said)
    assert [(faq.id, faq.questions) for faq in faqs] == [
        ("Reserve", ("I need a table today",)),
        ("Ride", ("I need a taxi today",)),
    ]
    assert len(questions) == 4
    found = evaluation.evaluate_dialogues(make_assistant(faqs), questions)
    assert found["accuracy with context, intent of the turn before"] == 1.0
    assert found["accuracy alone, intent of the turn before"] < 1.0
    assert found["accuracy with context, new intent"] == found["accuracy alone, new intent"] == 1.0


@pytest.mark.parametrize("line", ["[]", "{}", '{"turns": [{"speaker": "U", "text": 1}]}', "x", '{"turns": null}'])
def test_lines_that_are_no_dialogues(dialogues, line):
    with open(dialogues, "a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(FileError, match=r"dialogues\.jsonl:11: expected \{\"turns\": .*Received: something else$"):
        evaluation.read_dialogues(dialogues)

import pytest

from kbert.errors import UsageError
from kbert.prediction.formats import conll_lines, squad_answers

SPAN = {"start": 0, "end": 3, "label": "PER"}


def test_conll_of_texts_and_of_words():
    assert conll_lines({"text": "Ada in 北京", "spans": [SPAN, {"start": 7, "end": 9, "label": "LOC"}]}) == [
        "Ada\tB-PER",
        "in\tO",
        "北\tB-LOC",
        "京\tI-LOC",
        "",
    ]
    words = [{"start": 0, "end": 8}]
    assert conll_lines({"text": "Ada left", "spans": [SPAN], "words": words}) == ["Ada left\tB-PER", ""]
    words = [
        {"text": "Ada", "start": 0, "end": 3, "tag": "PROPN"},
        {"text": "left", "start": 4, "end": 8, "tag": "VERB"},
    ]
    assert conll_lines({"text": "Ada left", "words": words}) == ["Ada\tPROPN", "left\tVERB", ""]
    with pytest.raises(UsageError, match=r"^CoNLL is for models of tagging\. Received: predictions without spans$"):
        conll_lines({"text": "a", "label": "b"})


def test_answers_by_id():
    rows = [{"id": "a", "answer": "x", "question": "q"}, {"id": "b", "answer": "", "question": "q"}]
    assert squad_answers(rows) == {"a": "x", "b": ""}
    with pytest.raises(UsageError, match=r"Received: the id 'a' twice$"):
        squad_answers([rows[0], rows[0]])
    with pytest.raises(UsageError, match=r"Received: 'q' without one$"):
        squad_answers([{"answer": "x", "question": "q"}])
    with pytest.raises(UsageError, match=r"^SQuAD's format is for models of question answering"):
        squad_answers([{"label": "x"}])

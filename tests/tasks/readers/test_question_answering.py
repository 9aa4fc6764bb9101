import pytest

from kbert.errors import DataError
from kbert.sources.bad_rows import BadRows
from kbert.sources.table_format import TableFormat
from kbert.tasks.readers.question_answering import Answer, Question, read_questions

COLUMNS = {"question": "question", "context": "context", "answers": "answers"}


def read(path, columns=COLUMNS, targets=True, bad=None):
    return list(read_questions(path, columns, form=TableFormat(), targets=targets, bad=bad or BadRows()))


def test_answers_in_a_table_are_texts_with_or_without_offsets(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "id,question,context,answers,answer_start,is_impossible\n"
        "q1,Who left?,Ada saw Ada,Ada,8,\nq2,Who left?,Ada saw Ada,Ada,,false\nq3,Why?,Ada left,,,True\n"
    )
    assert read(path) == [
        Question("Who left?", "Ada saw Ada", (Answer("Ada", 8),), "q1", 2),
        Question("Who left?", "Ada saw Ada", (Answer("Ada", 0),), "q2", 3),
        Question("Why?", "Ada left", (), "q3", 4),
    ]
    asked = {role: name for role, name in COLUMNS.items() if role != "answers"}
    assert read(path, asked, targets=False)[2] == Question("Why?", "Ada left", None, "q3", 4)


@pytest.mark.parametrize(
    ("cell", "answers"),
    [
        ("{'text': ['Ada'], 'answer_start': [8]}", (Answer("Ada", 8),)),
        ("{'text': array(['Ada'], dtype=object), 'answer_start': array([8])}", (Answer("Ada", 8),)),
        ('[{""text"": ""Ada"", ""answer_start"": 8}]', (Answer("Ada", 8),)),
        ("{'text': [], 'answer_start': []}", ()),
    ],
)
def test_answers_as_pandas_writes_them(tmp_path, cell, answers):
    path = tmp_path / "a.csv"
    path.write_text(f'question,context,answers\nWho left?,Ada saw Ada,"{cell}"\n')
    assert read(path) == [Question("Who left?", "Ada saw Ada", answers, "", 2)]


def test_an_empty_answer_in_a_table_is_an_error_with_its_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("question,context,answers\nWho?,Ada left,Ada\nWhy?,Ada left,\n")
    with pytest.raises(
        DataError, match=r"a\.csv:3: expected answers, or true as is_impossible\. Received: an empty cell"
    ):
        read(path)
    assert [each.question for each in read(path, bad=BadRows(1))] == ["Who?"]

import json

import pytest

from kbert.errors import DataError, UsageError
from kbert.sources.bad_rows import BadRows
from kbert.tasks.factories import task_class
from kbert.tasks.readers.predicates import Predicate, RolesText
from kbert.tasks.readers.tagging import Span

ROW = {
    "text": "Ada gave Bob a book.",
    "predicates": [
        {
            "start": 4,
            "end": 8,
            "sense": "give.01",
            "roles": [
                {"start": 9, "end": 12, "role": "ARG2"},
                {"start": 0, "end": 3, "role": "ARG0"},
            ],
        }
    ],
}


def read(path, **options):
    return task_class("semantic-roles").read_examples(path, options=options)


def write(path, *rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_json_objects_are_read(tmp_path):
    path = write(tmp_path / "a.jsonl", ROW, {"text": "Nothing", "predicates": []})
    roles = (Span(0, 3, "ARG0"), Span(9, 12, "ARG2"))
    assert read(path) == [
        RolesText("Ada gave Bob a book.", (Predicate(4, 8, "give.01", roles),), 1),
        RolesText("Nothing", (), 2),
    ]
    without = task_class("semantic-roles").read_examples(path, targets=False)
    assert [(each.text, each.predicates) for each in without] == [("Ada gave Bob a book.", None), ("Nothing", None)]
    path = write(tmp_path / "b.jsonl", {"text": ""}, ROW)
    assert task_class("semantic-roles").read_examples(path, targets=False)[0] == RolesText("", None, 1)
    wide = {"text": "🎉 Ada left", "predicates": [{"start": 7, "end": 11, "roles": []}]}
    assert read(write(path, wide), offsets="utf-16") == [RolesText("🎉 Ada left", (Predicate(6, 10),), 1)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": ""}, "expected a text as 'text'. Received: ''"),
        ({"predicates": None}, "expected a list of predicates as 'predicates'. Received: None"),
        (
            {"predicates": [{"start": 4, "end": 99}]},
            "expected predicate inside the text, of 20 characters. Received: from 4 to 99",
        ),
        (
            {"predicates": [{"start": 4, "end": 4}]},
            "expected predicate inside the text, of 20 characters. Received: from 4 to 4",
        ),
        ({"predicates": [{"start": 4.0, "end": 8}]}, 'expected "start" and "end" as whole numbers. Received: [4.0, 8]'),
        ({"predicates": [{"start": 4, "end": 8, "sense": 1}]}, "expected a sense such as 'give.01'. Received: 1"),
        (
            {"predicates": [{"start": 4, "end": 8, "roles": [{"start": 0, "end": 3, "role": " "}]}]},
            "expected a role such as 'ARG0'. Received: ' '",
        ),
        (
            {"predicates": [{"start": 4, "end": 8, "roles": [{"start": 9, "end": 21, "role": "A"}]}]},
            "expected A inside the text, of 20 characters. Received: from 9 to 21",
        ),
        (
            {
                "predicates": [
                    {
                        "start": 4,
                        "end": 8,
                        "roles": [{"start": 9, "end": 19, "role": "A"}, {"start": 13, "end": 14, "role": "B"}],
                    }
                ]
            },
            "expected roles of 'gave' that do not overlap. Received: A from 9 to 19, and B from 13 to 14",
        ),
        (
            {"predicates": [{"start": 4, "end": 8}, {"start": 7, "end": 12}]},
            "expected predicates that do not overlap. Received: gave from 4 to 8, and e Bob from 7 to 12",
        ),
    ],
)
def test_rows_that_cannot_be(tmp_path, change, message):
    path = write(tmp_path / "a.jsonl", ROW, {**ROW, **change})
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == f"{path}:2: {message}"
    assert len(task_class("semantic-roles").read_examples(path, bad=BadRows(1))) == 1


def test_tables_are_only_for_predictions(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1,Ada left\n")
    (found,) = task_class("semantic-roles").read_examples(path, targets=False)
    assert found == RolesText("Ada left", None, 2)
    with pytest.raises(
        UsageError, match=r"a\.csv: expected JSON lines with predicates, or CoNLL columns, by its ending"
    ):
        read(path)

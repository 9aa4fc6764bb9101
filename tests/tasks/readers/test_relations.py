import json

import pytest

from kbert.errors import DataError
from kbert.sources.bad_rows import BadRows
from kbert.sources.memory_table import as_table
from kbert.tasks.factories import task_class
from kbert.tasks.readers.relations import RelationExample, found_entities, marked_entities

CAT = RelationExample("The cat sat on the mat.", (4, 7), (19, 22), "on", 1)
SEMEVAL = """\
1\t"The <e1>cat</e1> sat on the <e2>mat</e2>."
Location(e1,e2)
Comment: a note on <e1>cats</e1>

2\t"A <e2>dog</e2> ""ran"" to a <e1>cat</e1>."
Other
Comment:
"""


def read(path, columns=None, **options):
    return task_class("relations").read_examples(path, columns, options=options)


def test_the_text_of_semeval(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text(SEMEVAL)
    assert read(path) == [
        RelationExample("The cat sat on the mat.", (4, 7), (19, 22), "Location(e1,e2)", 1),
        RelationExample('A dog ""ran"" to a cat.', (19, 22), (2, 5), "Other", 5),
    ]
    path.write_text('8001\t"A <e1>cat</e1> saw a <e2>dog</e2>."\n8002\t"A <e1>dog</e1> saw a <e2>cat</e2>."\n')
    texts = task_class("relations").read_examples(path, targets=False)
    assert [(each.text, each.head, each.target, each.line) for each in texts] == [
        ("A cat saw a dog.", (2, 5), None, 1),
        ("A dog saw a cat.", (2, 5), None, 2),
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"text": CAT.text, "head": [4, 7], "tail": [19, 22], "relation": "on"},
        {"text": CAT.text, "head": {"start": 4, "end": 7}, "tail": {"start": 19, "end": 22}, "relation": "on"},
        {"text": CAT.text, "head": "cat", "tail": "mat", "relation": "on"},
        {"text": CAT.text, "head": {"word": "cat", "id": "1"}, "tail": {"word": "mat"}, "relation": "on"},
        {"text": "The <e1>cat</e1> sat on the <e2>mat</e2>.", "relation": "on"},
        {
            "text": CAT.text,
            "h": {"name": "cat", "pos": [4, 7]},
            "t": {"name": "mat", "pos": [19, 22]},
            "relation": "on",
        },
        {
            "token": ["The", "cat", "sat", "on", "the", "mat."],
            "h": {"pos": [1, 2]},
            "t": {"pos": [5, 6]},
            "relation": "on",
        },
        {
            "token": ["The", "cat", "sat", "on", "the", "mat."],
            **{"subj_start": 1, "subj_end": 1, "obj_start": 5, "obj_end": 5},
            "relation": "on",
        },
    ],
)
def test_json_objects_are_read(tmp_path, row):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (found,) = read(path)
    words = "token" in row
    assert (found.text, found.head, found.target, found.line) == (CAT.text, CAT.head, "on", 1)
    assert found.tail == ((19, 23) if words else CAT.tail)
    assert read(as_table([row], "rows")) == [found]


def test_tables(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("上航\t东方航空\t合并\t东方航空传将与上航合并\n\n东方航空\t上航\t合并\t东方航空传将与上航合并\n")
    columns = {"head": "1", "tail": "2", "relation": "3", "text": "4"}
    text = "东方航空传将与上航合并"
    assert read(path, columns, delimiter="tab") == [
        RelationExample(text, (7, 9), (0, 4), "合并", 1),
        RelationExample(text, (0, 4), (7, 9), "合并", 3),
    ]
    path = tmp_path / "a.csv"
    path.write_text("text,relation\nThe <e1>cat</e1> sat on the <e2>mat</e2>.,on\n")
    assert read(path) == [RelationExample(CAT.text, CAT.head, CAT.tail, "on", 2)]
    path.write_text('text,head,tail,relation\nThe cat sat on the mat.,"[4, 7]",mat,on\n')
    with pytest.raises(
        DataError, match=r"a\.csv:2: expected \[start, end\] as tail, or its text, for both\. Received: "
    ):
        read(path)


def test_units_of_offsets(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "🎉 cat, dog", "head": [3, 6], "tail": [8, 11], "relation": "r"}))
    (found,) = read(path, offsets="utf-16")
    assert (found.head, found.tail) == ((2, 5), (7, 10))


def test_the_nearest_occurrences_are_the_entities():
    assert found_entities("cat dog - - cat", "dog", "cat") == ((4, 7), (0, 3))
    assert found_entities("上航与东方航空上航", "上航", "航空") == ((7, 9), (5, 7))
    assert found_entities("a cat", "a cat", "cat") == ((0, 5), (2, 5))
    assert marked_entities("<e2>b</e2> <e1>a</e1>") == ("b a", (2, 3), (0, 1))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"text": "a cat", "head": [2, 9], "tail": [0, 1], "relation": "r"},
            "the head inside the text, of 5 characters. Received: from 2 to 9",
        ),
        (
            {"text": "a cat", "head": [2, 5], "tail": [1, 1], "relation": "r"},
            "the tail inside the text, of 5 characters. Received: from 1 to 1",
        ),
        (
            {"text": "a cat", "head": [True, 5], "tail": [0, 1], "relation": "r"},
            "the head inside the text, of 5 characters. Received: from True to 5",
        ),
        (
            {"text": "a cat", "head": "cat", "tail": "dog", "relation": "r"},
            "the tail 'dog' in the text. Received: 'a cat'",
        ),
        ({"text": "a cat", "head": "cat", "tail": " ", "relation": "r"}, "a tail. Received an empty one"),
        (
            {"text": "a cat", "head": [2, 5], "relation": "r"},
            "[start, end] as tail, or its text, for both. Received: None",
        ),
        (
            {"text": "a <e1>cat</e1>", "relation": "r"},
            "<e1>…</e1> around the head and <e2>…</e2> around the tail, each once. Received: 'a <e1>cat</e1>'",
        ),
        ({"text": " ", "head": [0, 1], "tail": [0, 1], "relation": "r"}, "a text. Received: ' '"),
        ({"text": "a cat", "head": [2, 5], "tail": [0, 1], "relation": ""}, "a relation. Received: ''"),
        ({"text": "a cat", "head": [2, 5], "tail": [0, 1]}, "a relation. Received: None"),
        (
            {"token": ["a", ""], "h": {"pos": [0, 1]}, "t": {"pos": [1, 2]}, "relation": "r"},
            "a text, or a list of words. Received: ['a', '']",
        ),
        (
            {"token": ["a", "b"], "h": {"pos": [0, 1]}, "t": {"pos": [1, 3]}, "relation": "r"},
            "the tail inside the text, of 2 characters. Received: from 1 to 3",
        ),
    ],
)
def test_rows_that_cannot_be(tmp_path, row, message):
    path = tmp_path / "a.jsonl"
    path.write_text(
        json.dumps({"text": "a b", "head": [0, 1], "tail": [2, 3], "relation": "r"}) + "\n" + json.dumps(row)
    )
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == f"{path}:2: expected {message}"


def test_sentences_without_a_relation(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text('1\t"A <e1>cat</e1> <e2>sat</e2>"\nComment:\n\n' + SEMEVAL + "\nOther\n")
    with pytest.raises(DataError, match=r"a\.txt:1: expected a relation in the line after the sentence"):
        read(path)
    bad = BadRows(2)
    assert len(task_class("relations").read_examples(path, bad=bad)) == 2
    assert str(bad.problems[1]).startswith(f"{path}:12: expected a sentence with <e1>…</e1> and <e2>…</e2>, and its ")


def test_a_key_that_the_user_named_must_be_there(tmp_path):
    path = tmp_path / "a.jsonl"
    row = {"sentence": "a cat", "text": "a dog", "head": [0, 1], "tail": [2, 5], "relation": "r"}
    other = {name: value for name, value in row.items() if name != "sentence"}
    path.write_text(json.dumps(row) + "\n" + json.dumps(other))
    with pytest.raises(DataError) as caught:
        read(path, {"text": "sentence"})
    assert str(caught.value) == (
        f"{path}:2: there is no key 'sentence'; the object has 'text', 'head', 'tail', 'relation'. Name another with "
        "--text-column"
    )
    bad = BadRows(1)
    (found,) = task_class("relations").read_examples(path, {"text": "sentence"}, bad=bad)
    assert (found.text, bad.count) == ("a cat", 1)
    assert [each.text for each in read(path)] == ["a dog", "a dog"]

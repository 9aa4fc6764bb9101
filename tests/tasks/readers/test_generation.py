import gzip

import pytest

from kbert.errors import DataError, UsageError
from kbert.sources.bad_rows import BadRows
from kbert.tasks.generation import GenerationTask
from kbert.tasks.readers.generation import GenerationExample


def test_tables(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("first\tsecond\na cat\tein Kater \na dog\tein Hund\n")
    columns = {"text": "first", "target": "second"}
    expected = [GenerationExample("a cat", ("ein Kater",), 2), GenerationExample("a dog", ("ein Hund",), 3)]
    assert GenerationTask.read_examples(path, columns) == expected
    assert GenerationTask.read_examples(path, columns, targets=False)[0] == GenerationExample("a cat", (), 2)


def test_json_lines_with_lists_and_usual_columns(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"source": ["A cat.", "A dog."], "target": ["cats", "dogs"]}\n{"source": "b", "target": "c"}\n')
    expected = [GenerationExample("A cat. A dog.", ("cats", "dogs"), 1), GenerationExample("b", ("c",), 2)]
    assert GenerationTask.read_examples(path) == expected


def test_parallel_files(tmp_path):
    (tmp_path / "a.de").write_text("ein Kater\nein Hund\n")
    (tmp_path / "a.en").write_text("a cat\na dog\n")
    expected = [GenerationExample("ein Kater", ("a cat",), 1), GenerationExample("ein Hund", ("a dog",), 2)]
    for ending in ("en", ".en"):
        assert GenerationTask.read_examples(tmp_path / "a.de", options={"target_ending": ending}) == expected
    texts = GenerationTask.read_examples(tmp_path / "a.de", options={"target_ending": "fr"}, targets=False)
    assert [example.text for example in texts] == ["ein Kater", "ein Hund"]
    for ending in ("de", "en"):
        with gzip.open(tmp_path / f"b.{ending}.gz", "wb") as file:
            file.write((tmp_path / f"a.{ending}").read_bytes())
    assert GenerationTask.read_examples(tmp_path / "b.de.gz", options={"target_ending": "en"}) == expected


@pytest.mark.parametrize("ending", ["en", ""])
def test_a_table_is_no_parallel_file(tmp_path, ending):
    """A model that was trained with parallel files remembers their ending."""
    expected = GenerationExample("ein Kater", ("a cat",), 2)
    for name, text in (
        ("a.csv", "text,target\nein Kater,a cat\n"),
        ("a.jsonl", '\n{"text": "ein Kater", "target": "a cat"}\n'),
    ):
        (tmp_path / name).write_text(text)
        assert GenerationTask.read_examples(tmp_path / name, options={"target_ending": ending}) == [expected]


def test_parallel_files_that_do_not_fit(tmp_path):
    (tmp_path / "a.de").write_text("ein Kater\nein Hund\n")
    with pytest.raises(UsageError, match=r"a\.de: expected the targets in .*a\.en\. There is no such file"):
        GenerationTask.read_examples(tmp_path / "a.de", options={"target_ending": "en"})
    (tmp_path / "a.en").write_text("a cat\n")
    with pytest.raises(DataError, match=r"a\.en: expected as many lines as in .*a\.de\. Received 1$"):
        GenerationTask.read_examples(tmp_path / "a.de", options={"target_ending": "en"})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"text": " ", "target": "a"}', r"a\.jsonl:2: expected a text\. Received an empty one"),
        ('{"text": "a", "target": ""}', r"a\.jsonl:2: expected a target text\. Received ''"),
        ('{"text": "a", "target": []}', r"a\.jsonl:2: expected a target text\. Received \[\]"),
        ('{"text": "a", "target": ["b", " "]}', r"a\.jsonl:2: expected a target text\. Received \['b', ' '\]"),
        ('{"text": "a"}', r"a\.jsonl:2: there is no key 'target'"),
    ],
)
def test_bad_rows(tmp_path, row, message):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "a", "target": "b"}}\n{row}\n')
    with pytest.raises(DataError, match=message):
        GenerationTask.read_examples(path)
    bad = BadRows(1)
    assert len(GenerationTask.read_examples(path, bad=bad)) == 1
    assert bad.count == 1

import json

import pytest

from kbert.errors import DataError
from kbert.sources.bad_rows import BadRows
from kbert.sources.memory_table import as_table
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.readers.embedding import EmbeddingExample

COLUMNS = {"pair": "pair", "negative": "negative"}


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_columns_say_what_is_learnt(tmp_path):
    path = write(tmp_path, "a.csv", "text,pair,negative,score\nthe cat,a cat,a dog,4.5\nthe mat,a mat,ran,0\n")
    for columns, objective in (
        ({}, "scores"),
        (dict.fromkeys(("pair", "negative", "score"), ""), "unsupervised"),
        ({"pair": "pair"}, "pairs"),
        (COLUMNS, "pairs"),
        ({"pair": "pair", "score": "score"}, "scores"),
    ):
        examples = EmbeddingTask.read_examples(path, columns)
        assert EmbeddingTask.from_examples(examples, path).objective == objective
    assert examples == [
        EmbeddingExample("the cat", "a cat", None, 4.5, 2),
        EmbeddingExample("the mat", "a mat", None, 0.0, 3),
    ]
    assert EmbeddingTask.from_examples(examples, path).score_range == [0.0, 4.5]
    assert EmbeddingTask.read_examples(path, COLUMNS, targets=False) == [
        EmbeddingExample("the cat", line=2),
        EmbeddingExample("the mat", line=3),
    ]
    triplets = EmbeddingTask.from_examples(EmbeddingTask.read_examples(path, COLUMNS), path, {"objective": "triplets"})
    assert (triplets.objective, triplets.losses, triplets.needs_whole_batch) == ("triplets", ("triplet_loss",), False)


def test_a_text_a_line(tmp_path):
    path = write(tmp_path, "a.txt", "the cat\n\na dog\n")
    assert EmbeddingTask.read_examples(path) == [EmbeddingExample("the cat", line=1), EmbeddingExample("a dog", line=3)]


def test_judgements(tmp_path):
    documents = write(tmp_path, "d.jsonl", '{"id": "d1", "text": "x"}\n{"id": "d2", "text": "y"}\n')
    queries = write(tmp_path, "q.jsonl", '{"id": "q", "text": "how"}\n')
    judgements = write(tmp_path, "qrels.txt", "q 0 d1 0\nq 0 d2 2\n")
    options = {"documents": str(documents), "queries": str(queries)}
    assert EmbeddingTask.read_examples(judgements, options=options) == [EmbeddingExample("how", "y", line=1)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("the cat, ,1", r"a\.csv:3: expected a pair\. Received an empty one$"),
        (",a cat,1", r"a\.csv:3: expected a text\. Received an empty one$"),
        ("the cat,a cat,high", r"a\.csv:3: expected a number as score\. Received 'high'$"),
        ("the cat,a cat,inf", r"a\.csv:3: expected a number as score\. Received 'inf'$"),
        ("the cat", r"a\.csv:3: expected at least 3 columns\. Received 1$"),
    ],
)
def test_rows_that_cannot_be(tmp_path, row, message):
    path = write(tmp_path, "a.csv", f"text,pair,score\na,b,1\n{row}\n")
    columns = {"pair": "pair", "score": "score"}
    with pytest.raises(DataError, match=message):
        EmbeddingTask.read_examples(path, columns)
    assert len(EmbeddingTask.read_examples(path, columns, bad=BadRows(1))) == 1


def test_lists_of_pairs_and_negatives(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"query": "cat", "pos": ["a cat", "the cat"], "neg": ["dog", "mat"]}\n'
        '{"query": "mat", "pos": ["a mat"], "neg": ["dog"]}\n'
    )
    examples = EmbeddingTask.read_examples(path)
    assert examples == [
        EmbeddingExample("cat", "a cat", ("dog", "mat"), line=1),
        EmbeddingExample("cat", "the cat", ("dog", "mat"), line=1),
        EmbeddingExample("mat", "a mat", "dog", line=2),
    ]


def test_the_usual_columns_are_found(tmp_path, logged):
    path = write(tmp_path, "a.tsv", "id\tsentence1\tsentence2\tscore\n1\tthe cat\ta cat\t4\n")
    assert EmbeddingTask.read_examples(path) == [EmbeddingExample("the cat", "a cat", score=4.0, line=2)]
    options = "--text-column sentence1, --pair-column sentence2, --score-column score"
    assert logged() == [f"{path}: read with {options}"]
    assert EmbeddingTask.read_examples(path, targets=False) == [EmbeddingExample("the cat", line=2)]
    path = write(tmp_path, "b.csv", "anchor,positive,negative\na,b,c\n")
    assert EmbeddingTask.read_examples(path) == [EmbeddingExample("a", "b", "c", line=2)]
    path = write(tmp_path, "c.csv", "text,sentence1,sentence2\na,b,c\n")
    assert EmbeddingTask.read_examples(path) == [EmbeddingExample("a", line=2)]
    with pytest.raises(DataError, match="text"):
        EmbeddingTask.read_examples(write(tmp_path, "d.csv", "one,two\na,b\n"))


@pytest.mark.parametrize("targets", [True, False])
def test_usual_columns_of_tables_in_memory_and_of_json(tmp_path, logged, targets):
    row = {"anchor": "a cat", "positive": "the cat"}
    pair = "the cat" if targets else None
    path = write(tmp_path, "a.jsonl", json.dumps(row) + "\n")
    for data, line in ((as_table([row], "x"), "the rows of x"), (path, str(path))):
        assert EmbeddingTask.read_examples(data, targets=targets) == [EmbeddingExample("a cat", pair, line=1)]
        told = "--text-column anchor, --pair-column positive" if targets else "--text-column anchor"
        assert logged() == [f"{line}: read with {told}"]

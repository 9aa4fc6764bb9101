import dataclasses

import pytest

from kbert.errors import DataError, UsageError
from kbert.tasks.catalogue import task_info
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.ranking import RankingTask
from kbert.tasks.readers.embedding import EmbeddingExample
from kbert.tasks.readers.question_answering import Question
from kbert.tasks.readers.ranking import RankingExample
from kbert.training.data.task_examples import digest, read_task_examples
from kbert.training.options import FinetuneOptions

ROWS = [f"text {number}\t{'ab'[number % 2]}" for number in range(8)]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("\n".join(["text\tlabel", *ROWS, ""]), encoding="utf-8")
    return path


def read(path, **settings):
    columns, task_options = task_info("classification").split({})
    options = FinetuneOptions(model="tiny", train=path, output="run", **settings)
    return read_task_examples("classification", options, columns=columns, task_options=task_options)


def texts(examples):
    return [example.text for example in examples]


def test_another_file(file, tmp_path):
    other = tmp_path / "validation.tsv"
    other.write_text("text\tlabel\nx\tb\n", encoding="utf-8")
    found = read(file, validation=other, limit=4)
    assert (texts(found.train), texts(found.validation)) == (["text 2", "text 3", "text 4", "text 6"], ["x"])
    assert found.task.labels == ["a", "b"]


def test_a_part_and_a_fold_are_held_out(file):
    for way in ({"validation_split": 0.25}, {"fold": (1, 4)}):
        found = read(file, **way)
        assert len(found.validation) == 2
        assert sorted(texts(found.train + found.validation)) == [f"text {number}" for number in range(8)]


def test_skipped_rows_are_told(file, told):
    file.write_text(file.read_text(encoding="utf-8") + "no label\n", encoding="utf-8")
    read(file, skip_bad=1, validation_split=0.5).tell_skipped()
    assert [message.startswith(f"{file}: ") for message in told()] == [True]


def test_one_way_to_validation_is_needed(file):
    for way in ({}, {"fold": (0, 2), "validation_split": 0.5}):
        with pytest.raises(UsageError, match="give one of"):
            read(file, **way)
    with pytest.raises(UsageError, match="limit must be at least 1"):
        read(file, limit=0, validation_split=0.5)


def test_the_digest_is_of_what_is_learnt_and_its_order(file):
    found = read(file, validation_split=0.25)
    known = digest(found.train, found.validation)
    moved = [dataclasses.replace(example, line=example.line + 7) for example in found.train]
    assert digest(moved, found.validation) == known
    assert digest(found.train[::-1], found.validation) != known
    assert digest(found.validation, found.train) != known


def test_a_limit_draws_from_the_whole_file(tmp_path):
    path = tmp_path / "sorted.tsv"
    path.write_text("text\tlabel\n" + "".join(f"text {n}\t{n // 20}\n" for n in range(60)), encoding="utf-8")
    found = read(path, validation=path, limit=30)
    assert len(found.train) == 30
    assert found.task.labels == ["0", "1", "2"]
    assert texts(found.train) == texts(read(path, validation=path, limit=30).train)
    with pytest.raises(DataError, match=r"one of the labels seen in training .*; --limit 2 leaves out training rows"):
        read(path, validation=path, limit=2)


def test_equal_texts_stay_on_one_side(tmp_path):
    path = tmp_path / "equal.tsv"
    path.write_text("text\tlabel\n" + "".join(f"text {n // 3}\t{n % 2}\n" for n in range(60)), encoding="utf-8")
    for way in ({"validation_split": 0.2}, {"fold": (0, 4)}):
        found = read(path, **way)
        assert not set(texts(found.train)) & set(texts(found.validation))
        assert len(found.train) + len(found.validation) == 60


def test_columns_that_were_found_are_kept(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("text\tpair\tlabel\nx\ty\ta\nz\tw\tb\n", encoding="utf-8")
    assert read(path, validation=path).columns == {"text": "text", "pair": "pair", "label": "label"}


def test_texts_that_are_also_in_the_training_file_are_told(file, tmp_path, told):
    other = tmp_path / "validation.tsv"
    other.write_text("text\tlabel\n Text  1\ta\nx\tb\ntext 1\tb\ntext 2\tb\n", encoding="utf-8")
    found = read(file, validation=other)
    assert found.shared == 3
    found.tell_shared()
    warning = (
        f"{other}: 3 of 4 validation examples have texts that are also in the training file, so the metrics are better "
        "than on new texts"
    )
    assert told() == [warning]
    other.write_text("text\tlabel\nx\tb\n", encoding="utf-8")
    for quiet in (read(file, validation=other), read(file, validation_split=0.5)):
        quiet.tell_shared()
    assert told() == [warning]


def test_questions_and_queries_are_shared_with_their_answers_only():
    questions = QuestionAnsweringTask()
    assert questions.same_texts(Question("Who?", "A c", ())) == questions.same_texts(Question("who?", "a  c", ()))
    assert questions.same_texts(Question("Who?", "c", ())) != questions.same_texts(Question("Why?", "c", ()))
    ranking = RankingTask()
    one, other = (RankingExample("q", ("A", wrong), (1.0, 0.0)) for wrong in "xy")
    assert ranking.same_texts(one) == ranking.same_texts(other) == ("q", "a")
    assert EmbeddingTask().same_texts(EmbeddingExample("Q", "A")) == ("q", "a")


def test_a_column_that_the_file_does_not_have_by_the_users_word(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("text,pair,label\na,x,0\nb,y,1\nc,z,0\nd,w,1\n")
    columns, task_options = task_info("classification").split({"pair_column": ""})
    assert columns == {"text": "text", "label": "label", "pair": ""}
    options = FinetuneOptions(model="tiny", train=path, output="run", validation=path)
    found = read_task_examples("classification", options, columns=columns, task_options=task_options)
    assert found.columns == columns
    assert [each.pair for each in (*found.train, *found.validation)] == [None] * 8

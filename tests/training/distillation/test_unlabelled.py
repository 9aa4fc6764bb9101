import numpy as np
import pytest

from kbert.errors import DataError
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.protocol.training_rows import Ragged, TrainingRows
from kbert.tasks.ranking import RankingTask
from kbert.tasks.readers.ranking import RankingExample
from kbert.tasks.readers.remembered import Reading
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.training.distillation.unlabelled import read_texts, rows_without_targets, with_unlabelled


@pytest.fixture
def encode(vocabulary):
    return GraphEncoder(Tokenizer(vocabulary).to_graph(), 16)


def test_tables_and_lines_are_read(tmp_path):
    (tmp_path / "table.csv").write_text("review,other\nthe cat,1\n")
    (tmp_path / "lines.txt").write_text("a dog\n\nthe mat\n")
    task, reading = ClassificationTask(["a", "b"]), Reading({"text": "review", "label": "answer"})
    texts = read_texts(task, reading, [tmp_path / "table.csv", tmp_path / "lines.txt"])
    assert texts == {"text": ["the cat", "a dog", "the mat"]}
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(DataError, match=r"empty.txt: expected texts without labels\. The file has none"):
        read_texts(task, reading, [tmp_path / "empty.txt"])


def test_texts_become_rows(encode):
    rows = rows_without_targets(ClassificationTask(["a", "b"]), {"text": ["the cat", "a"]}, encode)
    assert rows.ids.values.tolist() == [2, 5, 7, 3, 2, 6, 3]
    assert rows.ids.lengths.tolist() == [4, 3]
    assert rows.group_sizes is None
    assert not rows.type_ids.values.any()


@pytest.mark.long
def test_choices_are_the_rows_of_an_item(encode):
    task = MultipleChoiceTask()
    names = [text.name for text in task.text_inputs]
    texts = dict(zip(names, [["the", "a"], [["cat", "dog"], ["mat"]]], strict=True))
    rows = rows_without_targets(task, texts, encode)
    assert rows.group_sizes.tolist() == [2, 1]
    assert rows.ids.values.tolist() == [2, 5, 3, 7, 3, 2, 5, 3, 8, 3, 2, 6, 3, 11, 3]
    assert rows.type_ids.values.tolist() == [0, 0, 0, 1, 1] * 3


def test_candidates_are_the_rows_of_an_item(encode):
    texts = {"query": ["the", "a"], "candidates": [["cat", "dog"], ["mat", ""]]}
    rows = rows_without_targets(RankingTask(), texts, encode)
    assert rows.group_sizes.tolist() == [2, 1]
    assert rows.ids.values.tolist() == [2, 5, 3, 7, 3, 2, 5, 3, 8, 3, 2, 6, 3, 11, 3]
    labelled = RankingTask().training_rows([RankingExample("on", ("sat",), (1.0,))], encode)
    both = with_unlabelled(labelled, rows)
    assert both.group_sizes.tolist() == [1, 2, 1]
    # A batch has a gain for each row, as the model has a logit.
    assert both.targets["gains"].lengths.tolist() == [1, 2, 1]
    assert both.targets["gains"].values.tolist() == [1.0, -1.0, -1.0, -1.0]


def test_further_items_have_no_labels():
    labelled = TrainingRows(
        Ragged.of([[2, 5], [2, 6, 3]], np.int32),
        Ragged.of([[0, 0], [0, 0, 0]], np.int32),
        {
            "labels": np.array([1, 2], np.int32),
            "tags": Ragged.of([[1, 2], [3, 4, 5]], np.int32, padding=-1, by_token=True),
            "gains": Ragged.of([[1.0], [0.0, 1.0]], np.float32, padding=-1),
        },
        notes=("a note",),
    )
    others = TrainingRows(Ragged.of([[7, 8]], np.int32), Ragged.of([[0, 0]], np.int32), {})
    rows = with_unlabelled(labelled, others)
    assert rows.ids.values.tolist() == [2, 5, 2, 6, 3, 7, 8]
    assert rows.targets["labels"].tolist() == [1, 2, 0]
    assert rows.targets["has_label"].tolist() == [True, True, False]
    assert rows.targets["tags"].values.tolist() == [1, 2, 3, 4, 5, -1, -1]
    assert rows.targets["gains"].lengths.tolist() == [1, 2, 0]
    assert (len(rows), rows.group_sizes, rows.notes) == (3, None, ("a note",))
    grouped = with_unlabelled(TrainingRows(labelled.ids, labelled.type_ids, {}, np.array([2])), others)
    assert grouped.group_sizes.tolist() == [2, 1]

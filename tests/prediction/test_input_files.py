import pytest

from kbert.errors import UsageError
from kbert.prediction.input_files import InputFiles, resembles_table
from kbert.sources.memory_table import as_table
from kbert.sources.table_format import TableFormat
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.readers.remembered import Reading


@pytest.mark.parametrize(
    ("name", "delimiter", "is_table"),
    [("a.csv", None, True), ("a.txt", None, False), ("a.txt", ";", True), ("a.txt", "tab", False)],
)
def test_a_file_is_a_table_by_its_suffix_or_like_the_training_file(tmp_path, name, delimiter, is_table):
    path = tmp_path / name
    path.write_text("id;text\n7;a dog\n")
    assert resembles_table(path, {"text": "text"}, TableFormat(delimiter)) is is_table


def test_lines_of_a_text_file_are_read_as_the_training_file_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("the café\na dog\n".encode("latin-1"))
    task = ClassificationTask(["bad", "good"], paired=False)
    files = InputFiles(task, Reading(options={"encoding": "latin-1"}))
    lines = files.text_lines(path, {})
    assert lines is not None
    assert list(lines) == ["the café", "a dog"]
    # The user says that this file has cells.
    assert files.text_lines(path, {"delimiter": ";"}) is None
    assert files.text_lines(as_table([{"text": "a dog"}], "texts"), {}) is None


def test_a_column_of_a_file_of_lines_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("id\ttext\n7\ta dog\n")
    files = InputFiles(ClassificationTask(["bad", "good"], paired=False), Reading(columns={"text": "text"}))
    message = (
        r"^text_column needs a table\. Received: .*a\.txt, which is read as one text per line; give the delimiter of "
        r"its columns or its format, or leave text_column out$"
    )
    with pytest.raises(UsageError, match=message):
        files.text_lines(path, {"text_column": "text"})
    assert files.text_lines(path, {"text_column": "text", "delimiter": "tab"}) is None


def test_a_model_of_single_texts_reads_no_second_text():
    single, paired = (InputFiles(ClassificationTask(["bad", "good"], paired=each), Reading()) for each in (False, True))
    assert single.reading({"text_column": "review"}).columns == {"text": "review", "pair": ""}
    assert single.reading({"pair_column": "title"}).columns == {"pair": "title"}
    assert paired.reading({"text_column": "review"}).columns == {"text": "review"}

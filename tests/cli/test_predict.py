import json

import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.tagging import TaggingTask


def predict(*arguments):
    return CliRunner().invoke(main, ["predict", *map(str, arguments)])


@pytest.mark.long
def test_columns_are_kept(tmp_path, classifier):
    path = tmp_path / "a.csv"
    path.write_text("id,text\n7,a dog\n8,the cat\n")
    result = predict(classifier, "--input", path, "--keep-column", "id")
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["7", "8"]
    result = predict(classifier, "--input", path, "--keep-column", "id", "--json")
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["7", "8"]
    result = predict(classifier, "a dog", "--keep-column", "id")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: --keep-column names columns of --input FILE. Received: id\n",
    )


@pytest.mark.long
def test_conll(tmp_path, make_task_model):
    model = make_task_model(tmp_path / "run", TaggingTask(["O", "B-X", "I-X"]))
    path = tmp_path / "a.conll"
    path.write_text("the\ncat\nsat.\n\na\n")
    result = predict(model, "--input", path, "--output-format", "conll")
    words = [line.split("\t")[0] for line in result.stdout.split("\n")]
    assert words == ["the", "cat", "sat.", "", "a", "", ""]


@pytest.mark.slow
def test_texts_that_are_lists_of_words(tmp_path, make_task_model, classifier):
    model = make_task_model(tmp_path / "run", TaggingTask(["DET", "NOUN"], per_word=True))
    result = predict(model, '["the", "cat.sat"]', ' ["a"] ', "--output-format", "conll")
    assert [line.partition("\t")[0] for line in result.stdout.splitlines()] == ["the", "cat.sat", "", "a", ""]
    path = tmp_path / "a.jsonl"
    path.write_text('["the", "cat.sat"]\n["a"]\n')
    assert predict(model, "--input", path, "--output-format", "conll").stdout == result.stdout
    path.write_text('{"words": ["the", "cat.sat"]}\n{"words": ["a"]}\n')
    assert predict(model, "--input", path, "--output-format", "conll").stdout == result.stdout
    result = predict(model, '["the"]', "a cat")
    expected = "expected either texts, or JSON lists of words, for all TEXTs. Received: 1 lists among 2 TEXTs"
    assert (result.exit_code, result.stderr) == (2, f"Error: {expected}\n")
    result = predict(model, '["the", " "]')
    assert result.stderr == "Error: expected words that are not empty. Received: ['the', ' ']\n"
    # It is a text like others if it is no list of words, and to other tasks.
    assert json.loads(predict(model, "[a cat]", "--json").stdout)["text"] == "[a cat]"
    assert json.loads(predict(classifier, '["the"]', "--json").stdout)["text"] == '["the"]'


@pytest.mark.slow
def test_answers_by_id(tmp_path, make_task_model):
    model = make_task_model(tmp_path / "run", QuestionAnsweringTask())
    path = tmp_path / "a.json"
    questions = [{"id": "q1", "question": "who sat?"}, {"id": "q2", "question": "where?"}]
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "the cat sat", "qas": questions}]}]}))
    result = predict(model, "--input", path, "--output-format", "squad")
    answers = json.loads(result.stdout)
    assert list(answers) == ["q1", "q2"]
    assert all(answer in "the cat sat" for answer in answers.values())


@pytest.mark.filterwarnings("ignore")
def test_a_data_set_by_name(tmp_path, classifier):
    pytest.importorskip("datasets", reason="needs datasets")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"text": "a dog"}\n{"text": "the cat"}\n')
    result = predict(classifier, "--input", f"hf-datasets:{folder}", "--json")
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == ["a dog", "the cat"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "--text-column", "x", "--delimiter", ";"], "expected --input FILE beside --text-column --delimiter. "
         "Received: TEXTs; leave --text-column --delimiter out"),
        (["--input", "a.csv", "--pair", "x"], "--pair is for TEXTs. Received: --input FILE; name the column with "
         "--pair-column instead"),
        (["a", "--layers", "1"], "expected --features beside --layers. Received: no --features; add it, or leave "
         "--layers out"),
        (["--input", "a.csv", "--sequence-length", "9"], "expected --features beside --sequence-length. Received: no "
         "--features; add it, or leave --sequence-length out"),
        (["a", "--features", "--output", "f.npy", "--pair", "b"], "--features are vectors of single texts. Received: "
         "--pair, too; leave it out"),
        (["--input", "a.csv", "--features", "--output", "f.npy", "--keep-column", "id", "--output-format", "json"],
         "expected --features without --keep-column --output-format. Received: both; leave --keep-column "
         "--output-format out"),
        (["--input", "a.csv", "--output", "f.jsonl.gz"], "--output is written without compression. Received: "
         "f.jsonl.gz; leave .gz out"),
    ],
)  # fmt: skip
def test_options_that_the_command_would_not_use_are_refused(tmp_path, monkeypatch, classifier, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("id,text\n7,a dog\n")
    result = predict(classifier, *arguments)
    assert (result.exit_code, result.stderr) == (2, f"Error: {message}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]

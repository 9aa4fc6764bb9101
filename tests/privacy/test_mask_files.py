import doctest
import gzip
import json
import logging
import sys
import types

import pytest
from click.testing import CliRunner

import kbert
from kbert.cli.main import main
from kbert.errors import KbertError, UsageError
from kbert.privacy import mask_files
from kbert.privacy.tagger_spans import load_tagger
from kbert.text.personal_data.masker import Found

SECRETS = ("ann@example.org", "2125550123", "555-0123", "123-45-6789", "Lovelace", "13912345678")


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_text_keeps_its_lines(tmp_path):
    source = write(tmp_path / "a.txt", "To ann@example.org\r\n\n  Tel. +49 30 1234567\nend")
    assert kbert.mask_pii([source], output=tmp_path / "b.txt") == {"email": 1, "phone": 1}
    assert (tmp_path / "b.txt").read_bytes() == b"To [EMAIL]\n\n  Tel. [PHONE]\nend\n"


def test_all_columns_or_only_the_chosen_ones_are_masked(tmp_path):
    table = 'id,body,mail\n1,"call (212) 555-0123,\nnow",ann@example.org\n'
    source, output = write(tmp_path / "a.csv", table), tmp_path / "b.csv"
    assert kbert.mask_pii([source], output=output) == {"email": 1, "phone": 1}
    assert output.read_text() == 'id,body,mail\n1,"call [PHONE],\nnow",[EMAIL]\n'
    for column in ("body", "2"):
        assert kbert.mask_pii([source], output=output, columns=[column]) == {"phone": 1}
        assert output.read_text() == 'id,body,mail\n1,"call [PHONE],\nnow",ann@example.org\n'
    source = write(tmp_path / "a.tsv", 'a"b\tann@example.org\n')
    kbert.mask_pii([source], output=output, columns=["2"])
    assert output.read_text() == 'a"b\t[EMAIL]\n'


def test_json_is_masked_at_any_depth_or_in_the_chosen_fields(tmp_path):
    rows = [{"a": {"b": "SSN 123-45-6789"}, "n": 13912345678, "l": ["ann@example.org", None, True, 1.5]}]
    source = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n\n" for row in rows))
    output = tmp_path / "b.jsonl"
    assert kbert.mask_pii([source], output=output) == {"email": 1, "ssn": 1}
    masked = {"a": {"b": "SSN [SSN]"}, "n": 13912345678, "l": ["[EMAIL]", None, True, 1.5]}
    assert json.loads(output.read_text()) == masked
    assert kbert.mask_pii([source], output=output, columns=["a.b", "n"]) == {"phone": 1, "ssn": 1}
    masked = {"a": {"b": "SSN [SSN]"}, "n": "[PHONE]", "l": ["ann@example.org", None, True, 1.5]}
    assert json.loads(output.read_text()) == masked
    array = write(tmp_path / "a.json", json.dumps([*rows, "ann@example.org"], indent=1))
    kbert.mask_pii([array], output=output)
    assert [type(json.loads(line)) for line in output.read_text().splitlines()] == [dict, str]
    assert "ann@example.org" not in output.read_text()


def test_several_files_go_into_a_folder(tmp_path, caplog):
    caplog.set_level(logging.INFO, "kbert")
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.txt", "ann@example.org\n")
    (tmp_path / "in" / "b.txt.gz").write_bytes(gzip.compress("büro@example.org\n".encode("latin-1")))
    assert kbert.mask_pii([tmp_path / "in"], output=tmp_path / "out", encoding="latin-1") == {"email": 2}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "b.txt"]
    assert caplog.messages == [f"{tmp_path}/out/{name}: personal data replaced: 1 email" for name in ("a.txt", "b.txt")]


def test_hashes_of_two_runs_are_equal_with_the_same_salt(tmp_path):
    source, salt = write(tmp_path / "a.txt", "ann@example.org ANN@example.org"), write(tmp_path / "salt", "0" * 32)
    results = []
    for salt_file in (salt, salt, None, None):
        kbert.mask_pii([source], output=tmp_path / "b.txt", replacement="hash", salt_file=salt_file)
        first, second = (tmp_path / "b.txt").read_text().split()
        assert first == second
        results.append(first)
    assert results[0] == results[1]
    assert len(set(results)) == 3


def test_a_tagger_adds_its_spans(tmp_path, monkeypatch):
    def tag(texts):
        return [[Found(text.index("Ada"), text.index("Ada") + 12, "person")] if "Ada" in text else [] for text in texts]

    monkeypatch.setattr(mask_files, "load_tagger", lambda model, labels: tag)
    source = write(tmp_path / "a.csv", "a,b\nAda Lovelace,ann@example.org\n,x\n")
    kbert.mask_pii([source], output=tmp_path / "b.csv", tagger="run", columns=["a"])
    assert (tmp_path / "b.csv").read_text() == "a,b\n[PERSON],ann@example.org\n,x\n"


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.csv", "id,ann@example.org\n1,2\n", {"columns": ["body"]}, "a.csv:1: expected a column 'body'. Received 2 "
         "columns without this name; give the name of a column in the first row, or its number from 1 to 2, with "
         "--column"),
        ("a.csv", "id,body\n1,ann@example.org,2\n", {"columns": ["body"]}, "a.csv:2: expected 2 cells, as in the first "
         "row. Received 3; enclose cells that hold the delimiter in quotation marks, or name the --delimiter"),
        ("a.jsonl", '{"body": "ann@example.org"\n', {}, "a.jsonl:1: expected a JSON value a line (Expecting ',' "
         "delimiter: line 1 column 27 (char 26))"),
        ("a.jsonl", '{"body": "ann@example.org"}\n', {"columns": ["text"]}, "a.jsonl: expected a field 'text'. "
         "Received objects without it; name the fields to mask with --column"),
        ("a.txt", "ann@example.org", {"columns": ["text"]}, "a.txt: expected a table or JSON lines, since --column is "
         "given. Received: text; leave --column out, or name the --format of the file"),
        ("a.parquet", "PAR1", {}, "a.parquet: expected text, JSON lines, CSV or TSV. Received: parquet; save the table "
         "as CSV or JSON lines first"),
        ("a.txt", "x", {"output": "a.txt"}, "--output must not be a file that is read. Received: a.txt; choose another "
         "--output"),
        ("a.txt", "x", {"output": "new.txt.gz"}, "--output is written without compression. Received: new.txt.gz; leave "
         ".gz out"),
        ("a.txt", "x", {"replacement": "hash", "salt_file": "a.txt"}, "--salt-file must hold at least 16 bytes, since "
         "a short key can be guessed. Received: a.txt with 1; `openssl rand -hex 32` makes a key"),
        ("a.txt", "x", {"salt_file": "a.txt"}, "salt_file needs replacement='hash'. Received: "
         "replacement='placeholder'"),
        ("a.csv", "id||ann@example.org\n", {"delimiter": "||"}, "beside quotation marks the delimiter must be one "
         "character. Received: '||'; if the marks are text, give --quoting none"),
        ("a.csv", 'id,"ann@example.org\n1,2\n', {}, "a.csv:1: expected a row of a table. Received an invalid row: "
         "unexpected end of data; if quotation marks are text, give --quoting none"),
        ("a.txt", "x", {"tagger_labels": ["person"]}, "tagger_labels=['person'] needs tagger. Received: no model"),
    ],
)  # fmt: skip
def test_bad_input_gives_one_line_and_no_file(tmp_path, monkeypatch, name, text, options, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name, text)
    with pytest.raises(KbertError) as problem:
        kbert.mask_pii([name], **{"output": "new", **options})
    assert str(problem.value) == message
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_files_of_the_same_name_are_refused(tmp_path):
    paths = [tmp_path / "a" / "x.txt", tmp_path / "b" / "x.txt"]
    for path in paths:
        path.parent.mkdir()
        path.write_text("x")
    with pytest.raises(UsageError, match="expected files with different names"):
        kbert.mask_pii(paths, output=tmp_path / "out")


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_shows_numbers_and_no_text(tmp_path, monkeypatch, as_json):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.txt", "Lovelace ann@example.org 212-555-0123\n" * 300)
    write(tmp_path / "b.jsonl", '{"t": "SSN 123-45-6789, 电话13912345678"}\n')
    json_option = ["--json"] if as_json else []
    result = CliRunner().invoke(main, ["mask-pii", "a.txt", "b.jsonl", "--output", "out", *json_option])
    assert result.exit_code == 0
    assert not any(secret in result.output for secret in SECRETS)
    if as_json:
        assert json.loads(result.stdout) == {"email": 300, "phone": 301, "ssn": 1}
    else:
        assert "personal data replaced: 300 email, 301 phone, 1 ssn: out\n" in result.stderr
        assert result.stdout == ""


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.txt"])
def test_messages_about_damaged_files_show_no_text(tmp_path, monkeypatch, name):
    """The output of the command holds none of the text, whatever is wrong with the file."""
    monkeypatch.chdir(tmp_path)
    damaged = b'ann@example.org,Lovelace\n[{"ann@example.org": 2125550123, \'Lovelace\xff\n"ann@example.org\n'
    (tmp_path / name).write_bytes(damaged)
    result = CliRunner().invoke(main, ["mask-pii", name, "--output", "out", "--column", "body"])
    assert result.exit_code in (1, 2)
    assert result.output.count("\n") == 1
    assert not any(secret in result.output for secret in SECRETS)


def test_spans_of_a_tagger_have_the_chosen_labels(monkeypatch):
    class Predictor:
        task = types.SimpleNamespace(name="tagging", types=["person", "place"])

        def predict(self, texts):
            assert texts == ["Ada in Rome"]  # no blank texts
            spans = [(0, 3, "person"), (7, 11, "place")]
            return [{"spans": [{"start": start, "end": end, "label": label} for start, end, label in spans]}]

    loading = types.SimpleNamespace(load=lambda model: Predictor())
    monkeypatch.setitem(sys.modules, "kbert.prediction.loading", loading)
    assert load_tagger("run", ["place"])(["", "Ada in Rome", " "]) == [[], [Found(7, 11, "place")], []]
    with pytest.raises(UsageError, match=r"--tagger-label must be one of person, place\. Received: name"):
        load_tagger("run", ["name"])


def test_a_model_for_another_task_is_no_tagger(monkeypatch):
    class Task:
        name = "classification"

    class Predictor:
        task = Task()

    # The module itself would import TensorFlow.
    loading = types.SimpleNamespace(load=lambda model: Predictor())
    monkeypatch.setitem(sys.modules, "kbert.prediction.loading", loading)
    with pytest.raises(UsageError, match=r"for tagging spans\. Received: run, which is for classification"):
        load_tagger("run")


def test_the_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "letters.txt", "ann@example.org, +49 30 1234567\n")
    (found,) = doctest.DocTestFinder(recurse=False).find(kbert.mask_pii, "mask_pii", globs={"kbert": kbert})
    assert doctest.DocTestRunner().run(found) == (0, 1)

import json

import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.text.settings import TokenizerSettings
from kbert.text.tokenizer_files.reading import load_tokenizer
from kbert.text.vocabulary import Vocabulary

TEXT = "ที่ นี่ มี แมว\nสี ดำ Cat Mat\n\nมี แมว สี\nดำ ที่ Cat\n" * 4


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_folder_keeps_how_text_is_normalized(text, tmp_path):
    """And `corpus build`, `vocab inspect` and `vocab train` agree about it without another option."""
    folder = tmp_path / "vocabulary"
    trained = run("vocab", "train", text, "--size", 90, "--keep-accents", "--output", folder)
    assert trained.exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    assert load_tokenizer(folder).settings == TokenizerSettings(strip_accents=False)
    assert {"ที่", "cat"} <= set(load_tokenizer(folder).vocabulary)
    built = run("corpus", "build", text, "--vocab", folder, "--output", tmp_path / "corpus", "--workers", 1)
    assert built.exit_code == 0
    manifest = json.loads((tmp_path / "corpus" / "manifest.json").read_text())
    assert manifest["settings"]["tokenizer"]["strip_accents"] is False
    assert manifest["counts"]["unknown"] == 0
    shown = run("vocab", "inspect", folder, "--sample", text, "--beside", folder / "vocab.txt", "--json")
    kept, stripped = json.loads(shown.stdout).values()
    assert (kept["never_used"], kept["unknown"]) < (stripped["never_used"], stripped["unknown"] + 1)
    refused = run("corpus", "build", text, "--vocab", folder, "--cased", "--output", tmp_path / "other")
    assert refused.exit_code == 2
    assert "has its own settings for case and accents. Received: --cased; leave it out" in refused.stderr


def test_a_file_does_not(text, tmp_path):
    path = tmp_path / "vocab.txt"
    trained = run("vocab", "train", text, "--size", 90, "--cased", "--keep-accents", "--output", path)
    assert {"ที่", "Cat"} <= set(Vocabulary.from_file(path))
    assert f"{path} does not hold how text is normalized: give --cased --keep-accents to `kbert" in trained.stderr
    assert "does not hold" not in run("vocab", "train", text, "--size", 90, "--output", path).stderr
    inspected = run("vocab", "inspect", path, "--sample", text, "--keep-accents", "--json")
    assert inspected.exit_code == 0


def test_a_folder_that_holds_something_is_not_written_to(text, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "config.json").write_text("{}")
    (tmp_path / "a.txt").mkdir()
    for output in (tmp_path / "full", tmp_path / "a.txt"):
        refused = run("vocab", "train", text, "--output", output)
        assert refused.exit_code == 2
        assert f"must be a vocab.txt, or a new or empty folder. Received: {output}" in refused.stderr


def test_words_that_are_too_long(tmp_path, caplog):
    thai = "แมวดำกำลังนั่งอยู่บนเสื่อ" * 12
    text = tmp_path / "thai.txt"
    text.write_text(f"{thai}\n{thai}\n", encoding="utf-8")
    refused = run("vocab", "train", text, "--keep-accents", "--output", tmp_path / "v.txt")
    assert refused.exit_code == 1
    assert f"{text}: expected words of at most 200 characters. All of them are too long: 2 words are" in refused.stderr
    assert "such as 'แมวดำกำลังนั่งอยู่บน…' with 300 characters" in refused.stderr
    text.write_text(f"{thai}\nแมว ดำ แมว ดำ\n", encoding="utf-8")
    said = run("vocab", "train", text, "--keep-accents", "--output", tmp_path / "v.txt").stderr + caplog.text
    assert "no piece is learnt from 96.8% of the text: 1 word is longer than 200 characters" in said
    shown = run("vocab", "inspect", tmp_path / "v.txt", "--keep-accents", "--sample", text).stdout
    assert "since they are too long" in shown

import json

import pytest
from click.testing import CliRunner

from kbert.cli.main import main


def build(tmp_path, text, vocabulary, *options):
    """Builds a corpus; returns what is printed about it on standard error."""
    (tmp_path / "text.txt").write_text(text)
    (tmp_path / "vocab.txt").write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *vocabulary)) + "\n")
    arguments = [
        "corpus",
        "build",
        tmp_path / "text.txt",
        "--vocab",
        tmp_path / "vocab.txt",
        "--output",
        tmp_path / "c",
    ]
    result = CliRunner().invoke(main, [str(argument) for argument in (*arguments, "--workers", 1, *options)])
    assert result.exit_code == 0
    return result.stderr.replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("text", "vocabulary", "options", "warning"),
    [
        ("The cat.\n\nThe cat.\n", ("the", "cat", "."), (), ""),
        (
            "The cat.\n\nThe dog.\n",
            ("the", "cat", "."),
            (),
            "16.7% of the tokens are [UNK], most often for 'dog' (100% of them); no token has 'd' (in 100%), ",
        ),
        ("the cat\n\nthe cat\n", ("the", "cat", "The"), (), "capitals in 1 of the 8 entries of /vocab.txt ('The'): "),
        (
            "the café\n\nthe café\n",
            ("the", "cafe", "café"),
            (),
            "accents in 1 of the 8 entries of /vocab.txt ('café'): ",
        ),
        ("the café\n\nthe café\n", ("the", "café"), ("--keep-accents",), ""),
        ("The cat\n\nthe cat\n", ("the", "cat", "The"), ("--cased",), ""),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_told_of(tmp_path, text, vocabulary, options, warning, caplog):
    """The logger "kbert" has it, or the terminal if the program has attached a handler."""
    said = build(tmp_path, text, vocabulary, *options)
    said += caplog.text.replace(str(tmp_path), "")
    assert warning in said
    assert said.upper().count("WARNING") == bool(warning)


def test_one_is_no_plural(tmp_path):
    said = build(tmp_path, "the cat\nthe cat\n", ("the", "cat"), "--objective", "none")
    assert said == "1 example of 1 document in 1 shard: /c\nread: 1 file as text\n"


def test_bad_rows_are_skipped_and_told(tmp_path, vocab_file):
    rows = ['{"text": "the cat"}', '{"text": null}', '{"text": "a dog"}', '{"body": "the mat"}']
    (tmp_path / "text.jsonl").write_text("\n".join(rows))
    arguments = ["corpus", "build", tmp_path / "text.jsonl", "--vocab", vocab_file, "--objective", "none"]
    arguments += ["--output", tmp_path / "c", "--workers", "1", "--skip-bad"]
    result = CliRunner().invoke(main, [str(argument) for argument in (*arguments, 1)])
    assert result.exit_code == 1
    assert "text.jsonl:4: expected a field 'text' with the text" in result.stderr
    result = CliRunner().invoke(main, [str(argument) for argument in (*arguments, 2)])
    assert result.exit_code == 0
    assert "bad rows left out: 2\n" in result.stderr
    settings = json.loads((tmp_path / "c" / "manifest.json").read_text())["settings"]
    assert settings["source"]["skip_bad"] == 2
    assert "encoding" not in settings["source"]

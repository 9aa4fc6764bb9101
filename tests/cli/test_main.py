import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from kbert.cli import main as cli_main
from kbert.cli.evaluate import _print_tables


def test_help_lists_the_commands_without_importing_anything_heavy():
    code = (
        "import sys; sys.argv = ['kbert', '--help']\n"
        "from kbert.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'tensorflow', 'keras', 'numpy', 'rich', 'sklearn'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    for command in ("quickstart", "vocab", "corpus", "pretrain", "finetune", "evaluate", "predict", "export", "serve"):
        assert f"  {command} " in result.stdout


@pytest.mark.parametrize("group", ["", "vocab", "corpus", "index", "adapters", "export", "bench"])
def test_lists_of_commands_have_whole_sentences(group):
    done = CliRunner().invoke(cli_main.main, [*group.split(), "--help"], terminal_width=80)
    _, _, commands = done.output.partition("Commands:\n")
    assert commands.strip().endswith(".")
    assert "..." not in commands


@pytest.mark.parametrize(
    ("arguments", "prepared"),
    [
        (["--help"], ["runtime"]),
        ([], ["runtime"]),
        (["pretrain", "--help"], ["runtime", "pages"]),
        (["serve", "--help"], ["runtime"]),
    ],
)
def test_the_program_prepares_the_machine(monkeypatch, capsys, arguments, prepared):
    calls = []
    monkeypatch.setattr(cli_main, "prepare_runtime", lambda quiet: calls.append("runtime"))
    monkeypatch.setattr(cli_main, "restart_with_huge_pages", lambda: calls.append("pages"))
    monkeypatch.setattr(sys, "argv", ["kbert", *arguments])
    with pytest.raises(SystemExit):
        cli_main.program()
    assert calls == prepared


def test_python_m_kbert_is_the_same_program():
    result = subprocess.run([sys.executable, "-m", "kbert", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == "kbert, version 0.1.0\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["vocab", "train", "--help"],
        ["corpus", "build", "--help"],
        ["pretrain", "--help"],
        ["finetune", "--help"],
        ["finetune", "classification", "--help"],
        ["finetune", "tagging", "--help"],
        ["finetune", "question-answering", "--help"],
        ["evaluate", "--help"],
        ["predict", "--help"],
        ["index", "build", "--help"],
        ["search", "--help"],
        ["inspect", "--help"],
        ["convert", "--help"],
        ["export", "saved-model", "--help"],
        ["export", "litert", "--help"],
        ["serve", "--help"],
        ["quickstart", "--help"],
    ],
)
def test_every_command_has_help(run, arguments):
    exit_code, out, _ = run(*arguments)
    assert exit_code == 0
    assert out.startswith("Usage: ")


@pytest.mark.slow
def test_the_whole_way(run, tmp_path, corpus_text):
    text = corpus_text
    vocab = tmp_path / "v.txt"
    assert run("vocab", "train", text, "--size", 80, "--minimum-frequency", 1, "--output", vocab)[0] == 0
    assert vocab.read_text().startswith("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")

    corpus = tmp_path / "c"
    build = ("corpus", "build", text, "--vocab", vocab, "--output", corpus, "--sequence-length", 16, "--workers", 1)
    exit_code, _, err = run(*build)
    assert exit_code == 0
    assert "examples" in err
    exit_code, _, err = run(*build)
    assert (exit_code, err.count("\n")) == (2, 1)
    assert "holds a corpus already" in err

    pretrained = tmp_path / "p"
    pretrain = ("pretrain", "--corpus", corpus, "--model", "tiny", "--output", pretrained, "--batch-size", 4)
    assert run(*pretrain, "--steps", 4, "--log-every", 2)[0] == 0
    rows = [json.loads(line) for line in (pretrained / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert all(row["loss"] > 0 for row in rows)
    exit_code, _, err = run(*pretrain, "--steps", 4, "--log-every", 2)
    assert (exit_code, err.count("\n")) == (2, 1)
    assert "--resume" in err

    train = tmp_path / "train.tsv"
    train.write_text("sentence\tlabel\n" + "the cat\tanimal\nthe mat\tthing\na dog\tanimal\na mat\tthing\n" * 4)
    finetuned = tmp_path / "f"
    finetune = ("finetune", "classification", "--model", pretrained, "--train", train, "--validation", train)
    exit_code, _, err = run(*finetune, "--output", finetuned)
    assert (exit_code, err.count("\n")) == (1, 1)
    assert "there is no column 'text'" in err
    assert not finetuned.exists()
    assert run(*finetune, "--output", finetuned, "--text-column", "sentence", "--epochs", 1, "--batch-size", 4)[0] == 0

    exit_code, out, _ = run("evaluate", finetuned, "--data", train, "--text-column", "sentence", "--json")
    assert exit_code == 0
    assert json.loads(out)["examples"] == 16
    assert "confusion matrix" in run("evaluate", finetuned, "--data", train, "--text-column", "sentence")[1]

    exit_code, out, _ = run("predict", finetuned, "the cat", "a mat", "--json")
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["text"] for answer in answers] == ["the cat", "a mat"]
    assert all(set(answer["probabilities"]) == {"animal", "thing"} for answer in answers)
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    from_file = run("predict", finetuned, "--input", train, "--text-column", "sentence", "--json")[1].splitlines()
    assert json.loads(from_file[0])["probabilities"] == pytest.approx(answers[0]["probabilities"], abs=1e-6)
    lines = tmp_path / "lines.txt"
    lines.write_text("the cat\na mat\n")
    assert len(run("predict", finetuned, "--input", lines)[1].splitlines()) == 2
    assert run("predict", finetuned)[0] == 2
    exit_code, out, _ = run("predict", pretrained, "the [MASK] sat", "the cat", "--json")
    assert (exit_code, [len(json.loads(line)["masks"]) for line in out.splitlines()]) == (0, [1, 0])

    assert json.loads(run("inspect", finetuned, "--json")[1])["labels"] == ["animal", "thing"]
    assert "BertForPreTraining" in run("inspect", pretrained)[1]

    exit_code, out, _ = run("export", "saved-model", finetuned, "--output", tmp_path / "served" / "m")
    assert (exit_code, out.strip()) == (0, str(tmp_path / "served" / "m" / "1"))
    assert (tmp_path / "served" / "m" / "1" / "saved_model.pb").exists()
    manifest = json.loads((tmp_path / "served" / "m" / "1" / "assets.extra" / "kbert.json").read_text())
    assert manifest["command"] == [
        "kbert", "export", "saved-model", str(finetuned), "--output", str(tmp_path / "served" / "m"),
    ]  # fmt: skip
    assert manifest["metrics"].keys() >= {"accuracy", "f1", "loss"}
    assert run("export", "litert", finetuned, "--output", tmp_path / "m.tflite")[0] == 0
    assert (tmp_path / "m.tflite").stat().st_size > 100_000


def one_line(exit_code, result):
    assert result[0] == exit_code
    assert result[1] == ""
    assert result[2].count("\n") == 1
    assert result[2].startswith("Error: ")
    return result[2]


def test_bad_input_gets_one_line(run, tmp_path, vocab_file, corpus_text):
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    assert "holds no words" in one_line(1, run("vocab", "train", empty, "--output", tmp_path / "v.txt"))
    assert not (tmp_path / "v.txt").exists()

    missing = run("vocab", "train", tmp_path / "nowhere.txt", "--output", tmp_path / "v.txt")
    assert "no such file" in one_line(2, missing)

    bare = tmp_path / "bare.txt"
    bare.write_text("the\ncat\n")
    build = ("corpus", "build", corpus_text, "--output", tmp_path / "c", "--workers", 1)
    assert "[PAD] [UNK] [CLS] [SEP] [MASK]" in one_line(1, run(*build, "--vocab", bare))
    twice = tmp_path / "twice.txt"
    twice.write_text(vocab_file.read_text() + "the\n")
    # A trained model's vocabulary may have a token twice, and so may its corpus; a new model's may not.
    table = tmp_path / "table.csv"
    table.write_text("text,label\na cat,yes\na dog,no\n")
    other = tmp_path / "other.csv"
    other.write_text("text,label\nthe cat,yes\nthe dog,no\n")
    finetune = ("finetune", "classification", "--train", table, "--validation", other, "--output", tmp_path / "run")
    assert "every token must appear once" in one_line(1, run(*finetune, "--model", "tiny", "--vocab", twice))
    assert not (tmp_path / "c").exists()

    single = tmp_path / "single.txt"
    single.write_text("the cat sat on the mat\n")
    refused = run("corpus", "build", single, "--vocab", vocab_file, "--output", tmp_path / "d", "--workers", 1)
    assert "at least two documents" in one_line(1, refused)
    assert not (tmp_path / "d" / "manifest.json").exists()


def test_usage_errors_exit_with_2(run):
    assert run("pretrain")[0] == 2
    assert run("nonsense")[0] == 2
    assert run("evaluate", "/nowhere", "--data", "/nowhere")[0] == 2
    assert run("finetune", "sorting")[0] == 2
    assert run("finetune", "fill-mask")[::2] == (
        2,
        "Error: the task fill-mask is not fine-tuned; pretraining trains it (kbert pretrain)\n",
    )


def test_a_full_disk_is_one_line(run, corpus_text, monkeypatch, tmp_path):
    import os

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    output = tmp_path / "v.txt"
    message = one_line(1, run("vocab", "train", corpus_text, "--size", 80, "--output", output))
    assert "No space left on device" in message
    assert list(tmp_path.glob("*v.txt*")) == []


@pytest.mark.long
def test_features_and_search(run, tmp_path, pretrained, embedder):
    vectors = tmp_path / "vectors.npy"
    features = ("predict", pretrained, "the cat", "a dog", "--features", "--layers", "1,2", "--output", vectors)
    assert run(*features)[0] == 0
    assert np.load(vectors).shape == (2, 64)
    assert "--layers must be numbers with commas between them, or last4" in one_line(
        2, run(*features, "--layers", "one")
    )
    refused = one_line(2, run(*features, "--engine", "litert"))
    assert "--features are always computed with --engine tensorflow" in refused
    assert "--features needs --output FILE, which must end in .npy or .safetensors" in one_line(
        2, run("predict", pretrained, "a", "--features")
    )

    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.txt").write_text("the cat sat\n\na dog\n")
    index = tmp_path / "index"
    assert run("index", "build", embedder, "--input", folder, "--output", index) == (0, "", f"2 documents: {index}\n")
    exit_code, out, _ = run("search", index, "a dog", "--top", 1)
    assert (exit_code, out) == (0, "1\t1.0000\ta.txt#2\ta dog\n")
    (line,) = run("search", index, "a dog", "--json")[1].splitlines()
    assert [result["id"] for result in json.loads(line)["results"]] == ["a.txt#2", "a.txt#1"]
    assert "expected queries, or both --queries FILE and --judgements FILE. Received: nothing" in one_line(
        2, run("search", index)
    )


@pytest.mark.long
def test_features_of_a_table_that_is_read_as_the_training_file_was(run, tmp_path, classifier):
    model = tmp_path / "model"
    shutil.copytree(classifier, model)
    settings = json.loads((model / "kbert.json").read_text())
    settings["reading"] = {"columns": {"text": "sentence"}, "options": {"delimiter": ";", "encoding": "latin-1"}}
    (model / "kbert.json").write_text(json.dumps(settings))
    table, vectors, named = tmp_path / "a.csv", tmp_path / "a.npy", tmp_path / "b.npy"
    table.write_bytes("sentence;caf\u00e9\nthe cat;1\na dog;2\n".encode("latin-1"))
    assert run("predict", model, "--input", table, "--features", "--output", vectors)[0] == 0
    assert run("predict", model, "the cat", "a dog", "--features", "--output", named)[0] == 0
    np.testing.assert_array_equal(np.load(vectors), np.load(named))
    assert "there is no column 'body'" in one_line(
        1, run("predict", model, "--input", table, "--text-column", "body", "--features", "--output", vectors)
    )
    # Whatever its ending: it looks like the training file.
    text = table.rename(tmp_path / "a.txt")
    assert run("predict", model, "--input", text, "--features", "--output", vectors)[0] == 0
    np.testing.assert_array_equal(np.load(vectors), np.load(named))
    text.write_text("")
    assert "expected texts. Received: an empty file" in one_line(
        1, run("predict", model, "--input", text, "--features", "--output", vectors)
    )


def test_a_file_without_entities_is_evaluated(capsys):
    _print_tables({"f1": 0.0, "per_class": {}})
    assert capsys.readouterr().out == "f1: 0.0000\n"


def test_a_reader_of_the_output_that_ends_early(vocab_file, corpus_text):
    """As in `kbert … | head`: no message, and no traceback of Python at its end."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "kbert", "vocab", "inspect", vocab_file, "--sample", corpus_text]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")

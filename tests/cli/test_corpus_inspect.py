import json
import re


def test_inspect(run, corpus, tmp_path):
    page = tmp_path / "page.html"
    exit_code, out, err = run("corpus", "inspect", corpus, "--examples", 2, "--html", page)
    assert exit_code == 0
    assert out.count("[CLS]") == 2
    assert re.search(r"\{\S+ (was \S+|kept)\}", out)
    assert "drawn for this as in training's first epoch" in out
    assert str(page) in err
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert run("corpus", "inspect", corpus, "--examples", 2)[1] == out


def test_json_alone(run, corpus):
    exit_code, out, _ = run("corpus", "inspect", corpus, "--json", "--limit", 3)
    assert exit_code == 0
    assert json.loads(out)["examples"] == 3


def test_packed(run, corpus):
    exit_code, out, _ = run("corpus", "inspect", corpus, "--pack-to", 48)
    assert exit_code == 0
    assert re.search(r"fill rate +\d\d\.\d\d% of rows of 48", out)


def test_records_of_others(run, tmp_path, corpus_text, vocab_file):
    built = tmp_path / "built"
    options = ("--masking", "static", "--compression", "none", "--sequence-length", 16)
    assert run("corpus", "build", corpus_text, "--vocab", vocab_file, "--output", built, *options)[0] == 0
    foreign = tmp_path / "foreign.tfrecord"
    foreign.write_bytes(b"".join(path.read_bytes() for path in sorted(built.glob("examples-*"))))
    exit_code, out, _ = run("corpus", "inspect", foreign, "--vocab", vocab_file)
    assert exit_code == 0
    assert "in the records" in out
    assert run("corpus", "inspect", built)[1].splitlines()[-8:] == out.splitlines()[-8:]


def test_no_corpus_is_one_line(run, tmp_path):
    exit_code, out, err = run("corpus", "inspect", tmp_path)
    assert (exit_code, out, err.count("\n")) == (1, "", 1)
    assert "expected a corpus made by `kbert corpus build`" in err

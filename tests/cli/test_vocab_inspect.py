import json


def test_two_vocabularies_stand_side_by_side(run, vocab_file, corpus_text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text(vocab_file.read_text() + "cats\n")
    exit_code, out, _ = run("vocab", "inspect", vocab_file, "--sample", corpus_text, "--beside", other)
    assert exit_code == 0
    lines = {line.split("  ")[0]: line.split()[-2:] for line in out.splitlines()}
    assert lines["entries"] == ["23", "24"]
    assert float(lines["pieces per word"][0]) > float(lines["pieces per word"][1]) > 1
    assert f"split most ({other}):" in out


def test_one_vocabulary(run, vocab_file, corpus_text):
    out = run("vocab", "inspect", vocab_file, "--sample", corpus_text)[1]
    assert "\nentries" in out
    assert "unaffable  un ##aff ##able" in out


def test_json_of_a_vocabulary_beside_itself(run, vocab_file, corpus_text):
    exit_code, out, _ = run(
        "vocab", "inspect", vocab_file, "--sample", corpus_text, "--beside", vocab_file, "--beside-cased", "--json"
    )
    facts = json.loads(out)
    assert exit_code == 0
    assert list(facts) == [str(vocab_file), f"{vocab_file} (again)"]
    uncased, cased = facts.values()
    assert uncased["unknown"] < cased["unknown"]


def test_bad_samples_are_one_line(run, vocab_file, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    for sample, code in ((tmp_path / "absent.txt", 2), (tmp_path / "empty.txt", 1)):
        exit_code, out, err = run("vocab", "inspect", vocab_file, "--sample", sample)
        assert (exit_code, out, err.count("\n")) == (code, "", 1)


def test_what_was_left_out_is_said(run, vocab_file, tmp_path):
    text = tmp_path / "text.txt"
    text.write_bytes(b"the cat\nthe c\xe4t\nthe cat\n")
    skip = ("--invalid-utf8", "skip")
    trained = run("vocab", "train", text, "--size", 30, "--output", tmp_path / "new.txt", *skip)
    assert trained[::2] == (0, trained[2])
    assert "lines that are not UTF-8 left out: 1" in trained[2]
    assert run("vocab", "inspect", vocab_file, "--sample", text, *skip)[2] == "lines that are not UTF-8 left out: 1\n"

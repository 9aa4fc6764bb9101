import doctest
import json
import re

import pytest
from click.testing import CliRunner

import kbert
from kbert.cli.main import main
from kbert.errors import BundleError
from kbert.model_folder.card import licenses_of, read_card, with_licenses
from kbert.model_folder.provenance import write_provenance


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    for name in ("model.safetensors", "config.json", "adapter/adapter_config.json", "checkpoints/step-1"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    data = {"train": [{"name": "train.csv", "sha256": "0"}, {"name": "a pattern"}]}
    write_provenance(folder, command="finetune classification", data=data, ignored=["checkpoints"])
    return folder


def test_intact_changed_and_missing_files_are_told(run):
    names = ["adapter/adapter_config.json", "config.json", "model.safetensors"]
    assert kbert.verify(run) == dict.fromkeys(names, "intact")
    assert CliRunner().invoke(main, ["verify", str(run)]).exit_code == 0
    (run / "checkpoints" / "step-1").write_text("other")  # not listed
    (run / "model.safetensors").write_text("other")
    (run / "config.json").unlink()
    expected = dict(zip(names, ["intact", "missing", "changed"], strict=True))
    assert kbert.verify(run) == expected
    result = CliRunner().invoke(main, ["verify", str(run)])
    assert result.exit_code == 1
    assert result.stdout == ("intact   adapter/adapter_config.json\nmissing  config.json\nchanged  model.safetensors\n")
    assert json.loads(CliRunner().invoke(main, ["verify", str(run), "--json"]).stdout) == expected


def test_data_files_are_compared_with_those_of_the_run(run, tmp_path):
    path = run / "provenance.json"
    content = json.loads(path.read_text())
    assert (content["command"], content["data"]["train"][0]["name"]) == ("finetune classification", "train.csv")
    data = tmp_path / "copy.csv"
    data.write_bytes(b"abc")
    assert kbert.verify(run, [data])[str(data)] == "unknown"
    # The SHA-256 of "abc" in FIPS 180-2
    content["data"]["train"][0]["sha256"] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_text(json.dumps(content))
    assert kbert.verify(run, [data])[str(data)] == "intact"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a finished run with provenance.json. "),
        ("[]", "expected the digests of files, as this version of kbert writes them"),
        ('{"format": 1, "files": {"a": 1}, "data": {}}', "expected the digests of files"),
        ('{"format": 1, "files": {"../a": ""}, "data": {}}', "expected files in the folder of the run. "
         "Received: '../a'"),
    ],
)  # fmt: skip
def test_folders_without_digests_are_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "provenance.json").write_text(content)
    with pytest.raises(BundleError, match=re.escape(message)):
        kbert.verify(tmp_path)
    result = CliRunner().invoke(main, ["verify", str(tmp_path)])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)


def test_licenses_are_in_the_card_and_read_from_it(tmp_path):
    card = "---\nlibrary_name: kbert\n---\n# Title\n\n| | |\n|---|---|\n| Task | x |\n"
    assert with_licenses(card, {}) == card
    whole = with_licenses(card, {"license": "apache-2.0", "data_licenses": ["cc-by-4.0", "a | b"]})
    assert whole == (
        '---\nlicense: "apache-2.0"\nlibrary_name: kbert\n---\n# Title\n\n| | |\n|---|---|\n| License | apache-2.0 |\n'
        "| Licenses of the data | cc-by-4.0, a \\| b |\n| Task | x |\n"
    )
    (tmp_path / "README.md").write_text(whole)
    assert read_card(tmp_path).license == "apache-2.0"
    assert licenses_of(tmp_path) == {"license": "apache-2.0"}
    (tmp_path / "kbert.json").write_text('{"license": "mit", "data_licenses": ["cc0-1.0"]}')
    assert licenses_of(tmp_path) == {"license": "mit", "data_licenses": ["cc0-1.0"]}


def test_the_example_runs(run, monkeypatch):
    monkeypatch.chdir(run.parent)
    (found,) = doctest.DocTestFinder(recurse=False).find(kbert.verify, "verify", globs={"kbert": kbert})
    assert doctest.DocTestRunner().run(found) == (0, 1)

"""The base class of formats, and the example format of docs/adding-a-format.md, registered as the page describes."""

import doctest
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kbert
from kbert.conversion import tensor_tables
from kbert.conversion.checkpoint_files import find_checkpoint
from kbert.conversion.formats import FORMATS, all_formats, find_format, format_named
from kbert.errors import BundleError, UsageError
from kbert.model_folder.bundle import Bundle

PAGE = (Path(__file__).parents[2] / "docs" / "adding-a-format.md").read_text(encoding="utf-8")


def install(site, name, code, entry_points):
    """Makes a folder of installed packages: a module, and what an installer writes of its entry points."""
    site.mkdir(exist_ok=True)
    (site / f"{name}.py").write_text(code, encoding="utf-8")
    about = site / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[kbert.formats]\n{entry_points}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The package of the page, installed."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (lines,) = re.findall(r'```toml\n\[project\.entry-points\."kbert\.formats"\]\n(.*?)```', PAGE, re.DOTALL)
    install(tmp_path / "site", "numpy_bert", code, lines.replace('"', ""))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "numpy_bert", raising=False)
    return tmp_path / "site"


def test_the_format_of_the_page(tmp_path, site, classifier):
    result = kbert.convert(classifier, tmp_path / "archive", to="numpy")
    assert (result.source_format, result.destination_format) == ("bundle", "numpy")
    assert result.differences == {"sequence_output": 0.0, "pooled_output": 0.0, "logits": 0.0}
    with np.load(tmp_path / "archive" / "bert.npz") as archive:
        assert archive["block1.wide.kernel"].shape == (32, 64)
        assert "classifier.weight" not in archive
    assert kbert.convert(tmp_path / "archive", tmp_path / "back").source_format == "numpy"
    for name in ("model.safetensors", "vocab.txt", "kbert.json", "tokenizer_config.json"):
        assert (tmp_path / "back" / name).read_bytes() == (classifier / name).read_bytes()
    (tmp_path / "archive" / "kbert.json").unlink()
    kbert.convert(tmp_path / "archive", tmp_path / "encoder", from_="numpy")
    assert Bundle.load(tmp_path / "encoder").architecture == "BertModel"
    (tmp_path / "archive" / "bert.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(BundleError, match=r"bert\.npz is damaged"):
        kbert.convert(tmp_path / "archive", tmp_path / "damaged")


def test_the_command_lists_all_formats_without_tensorflow(site):
    code = (
        "import sys, json\n"
        "from kbert.cli.convert import convert\n"
        "options = {each.opts[0]: each.type for each in convert.params}\n"
        "heavy = sorted({'tensorflow', 'keras'} & set(sys.modules))\n"
        "print(json.dumps([options['--from'].choices, options['--to'].choices, heavy]))"
    )
    environment = {"PYTHONPATH": f"{site}:{Path(kbert.__file__).parents[1]}", "PATH": ""}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    readable, writable, heavy = json.loads(result.stdout)
    assert readable == ["bundle", "google", "model-garden", "keras-hub", "numpy"]
    assert writable == ["bundle", "google", "keras-hub", "numpy"]
    assert heavy == []


def test_a_format_that_cannot_be_used_is_left_out(tmp_path, monkeypatch, caplog):
    code = "from kbert.conversion.google import GoogleFormat as Again\nclass Other: pass\n"
    points = "again = some_formats:Again\nmissing = some_formats:Missing\nother = some_formats:Other"
    install(tmp_path / "site", "some_formats", code, points)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with caplog.at_level(logging.WARNING, logger="kbert"):
        assert all_formats() == FORMATS
    assert [record.getMessage() for record in caplog.records] == [
        "the format again (some_formats:Again) is left out: there is a format google already",
        "the format missing (some_formats:Missing) is left out: module 'some_formats' has no attribute 'Missing'",
        "the format other (some_formats:Other) is left out: expected a kbert.conversion.format.Format. Received: Other",
    ]


def test_options_that_a_format_does_not_take(tmp_path, site, classifier, vocab_file):
    kbert.convert(classifier, tmp_path / "archive", to="numpy")
    with pytest.raises(
        UsageError, match=r"archive already contains what --config and --vocab are for; leave them out$"
    ):
        kbert.convert(tmp_path / "archive", tmp_path / "out", vocab=vocab_file)
    kbert.convert(tmp_path / "archive", tmp_path / "out", cased=True)
    assert Bundle.load(tmp_path / "out").tokenizer.lowercase is False


def test_formats_by_name(tmp_path, pretrained):
    assert format_named("model-garden").name == "model-garden"
    with pytest.raises(UsageError, match=r"converted to bundle, google, keras-hub\. Received: model-garden$"):
        format_named("model-garden", to_write=True)
    with pytest.raises(UsageError, match=r"^models can be converted from bundle, google, model-garden, keras-hub\. "):
        find_format(pretrained, "onnx")
    with pytest.raises(UsageError, match=r"^expected a KerasHub preset \(config\.json and model\.weights\.h5\)\. "):
        find_format(pretrained, "keras-hub")
    with pytest.raises(
        UsageError, match=r"^the format model-garden does not support writing; name another format with --to$"
    ):
        format_named("model-garden").write(Bundle.load(pretrained), tmp_path, None)


def test_a_folder_with_a_checkpoint_too_is_a_model_folder_if_it_has_its_weights(tmp_path, pretrained):
    kbert.convert(pretrained, tmp_path / "google", to="google")
    (tmp_path / "google" / "config.json").write_bytes((pretrained / "config.json").read_bytes())
    assert find_format(tmp_path / "google")[0].name == "google"
    (tmp_path / "google" / "model.safetensors").write_bytes((pretrained / "model.safetensors").read_bytes())
    found, place = find_format(tmp_path / "google")
    assert (found.name, place) == ("bundle", tmp_path / "google")


def test_the_example_of_a_table():
    assert doctest.testmod(tensor_tables) == (0, 2)


def test_layouts(small_config):
    """Each layout by hand: the kernel of query is [H, N, D], that of the output [N, D, H]."""
    table = tensor_tables.TensorTable(
        {"query": "q{layer}", "attention_output": "o{layer}", "output": "d{layer}", "nsp": ("a", "b")},
        dense=("/w", "/b"),
        norm=("/g", "/b"),
        layouts={"query": "heads_in", "attention_output": "heads_out", "nsp": "same"},
        first_layer=4,
    )
    entries = {entry.foreign: entry for entry in table.entries(small_config)}
    assert {name: entry.foreign_shape for name, entry in entries.items() if not name.endswith("5/b")} == {
        "q4/w": (32, 2, 16),
        "q4/b": (2, 16),
        "o4/w": (2, 16, 32),
        "o4/b": (32,),
        "d4/w": (64, 32),
        "d4/b": (32,),
        "q5/w": (32, 2, 16),
        "o5/w": (2, 16, 32),
        "d5/w": (64, 32),
        "a": (2, 32),
        "b": (2,),
    }
    assert entries["q5/w"].name == "bert.encoder.layer.1.attention.self.query.weight"
    weight = np.arange(32 * 32, dtype=np.float32).reshape(32, 32)
    kernel = entries["q4/w"].to_foreign(weight)
    assert kernel[3, 1, 2] == weight[1 * 16 + 2, 3]
    output = entries["o4/w"].to_foreign(weight)
    assert output[1, 2, 3] == weight[3, 1 * 16 + 2]
    for entry in entries.values():
        tensor = np.random.default_rng(0).normal(size=entry.shape).astype(np.float32)
        np.testing.assert_array_equal(entry.to_bundle(entry.to_foreign(tensor)), tensor)


def test_a_checkpoint_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "bert_model.ckpt.index").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint(Path()) == Path("bert_model.ckpt")
    monkeypatch.chdir("/")
    assert find_checkpoint(Path()) is None
    assert find_checkpoint(Path("/")) is None

import json

import kbert
from kbert.training.run_folder.provenance import license_settings, write_run_provenance


def options(tmp_path, **others):
    return kbert.FinetuneOptions(train=tmp_path / "train.csv", output=tmp_path / "run", **{"model": "tiny", **others})


def test_licenses_come_from_the_options_and_from_the_model(tmp_path):
    assert license_settings(options(tmp_path)) == {}
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    (base / "README.md").write_text("---\nlicense: mit\n---\n")
    (base / "kbert.json").write_text('{"data_licenses": ["cc0-1.0"]}')
    given = options(tmp_path, model=base, data_licenses=["cc-by-4.0", "cc0-1.0"])
    assert license_settings(given) == {"license": "mit", "data_licenses": ["cc0-1.0", "cc-by-4.0"]}
    assert license_settings(options(tmp_path, model=base, license="apache-2.0"))["license"] == "apache-2.0"


def test_digests_leave_out_checkpoints_and_texts(tmp_path):
    for name in ("model.safetensors", "worst_examples.json", "checkpoints/best", "tensorboard/events"):
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_bytes(b"abc")
    (tmp_path / "train.csv").write_bytes(b"abc")
    write_run_provenance(tmp_path / "run", "finetune classification", options(tmp_path))
    # The SHA-256 of "abc" in FIPS 180-2
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert json.loads((tmp_path / "run" / "provenance.json").read_text()) == {
        "format": 1,
        "command": "finetune classification",
        "files": {"model.safetensors": digest},
        "data": {"train": [{"name": "train.csv", "sha256": digest}]},
    }

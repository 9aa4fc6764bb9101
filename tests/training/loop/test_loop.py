import json
import signal
import time

import pytest

from kbert.training.pretrain import pretrain

OPTIONS = {
    "steps": 100,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "log_every": 1,
    "checkpoint_every": 7,
    "show_progress": False,
}
PRETRAIN = """
import json, sys
from kbert.training.pretrain import pretrain
corpus, model, output, options = sys.argv[1:]
pretrain(corpus=corpus, model=model, output=output, **json.loads(options))
"""
MIRRORED = """
import json, sys
import tensorflow as tf
cpus = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], cpus)
from kbert.training.pretrain import pretrain
corpus, model, output, options = sys.argv[1:]
for strategy, accumulation in (("one", 1), ("mirrored", 2)):
    pretrain(
        corpus=corpus, model=model, output=f"{output}/{strategy}", strategy=strategy,
        accumulation=accumulation, **json.loads(options)
    )
"""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, pretrained, vocabulary):
    """A run in one go: the folders of the corpus and of the run."""
    from kbert.corpus.building.build import build_corpus

    folder = tmp_path_factory.mktemp("uninterrupted")
    vocabulary.save(folder / "vocab.txt")
    text = "\n\n".join(f"the {a} sat .\na {b} ran !\nthe {a} ran on ." for a in ("cat", "dog") for b in ("mat", "dog"))
    (folder / "text.txt").write_text(text)
    build_corpus(
        [folder / "text.txt"], vocab=folder / "vocab.txt", output=folder / "corpus", sequence_length=16, duplicates=8
    )
    pretrain(corpus=folder / "corpus", model=pretrained, output=folder / "run", **OPTIONS)
    return folder / "corpus", folder / "run"


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    rows, tmp_path, uninterrupted, pretrained, run_python, number
):
    corpus, expected = uninterrupted
    output = tmp_path / "run"
    process = run_python(PRETRAIN, corpus, pretrained, output, json.dumps(OPTIONS))
    deadline = time.monotonic() + 120
    while not (output / "metrics.jsonl").exists() or len((output / "metrics.jsonl").read_bytes()) < 8_000:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    done = rows_so_far(output)
    steps = sorted(int(path.stem[5:]) for path in (output / "checkpoints").glob("step-*.safetensors"))
    assert 7 <= steps[-1] < 100
    if number == signal.SIGTERM:
        # It saved at the step it was at.
        assert f"stopped by SIGTERM after {steps[-1]} steps; a checkpoint was saved" in errors
        assert steps[-1] == done
    else:
        assert process.returncode == -signal.SIGKILL
        assert steps[-1] % 7 == 0
        assert done >= steps[-1]
    assert not (output / "model.safetensors").exists()

    pretrain(corpus=corpus, model=pretrained, output=output, resume=True, **OPTIONS)
    assert rows(output) == rows(expected)
    assert (output / "model.safetensors").read_bytes() == (expected / "model.safetensors").read_bytes()
    assert (output / "kbert.json").read_bytes() == (expected / "kbert.json").read_bytes()


def rows_so_far(folder):
    """The step of the last whole row."""
    return json.loads((folder / "metrics.jsonl").read_text().rpartition("\n")[0].splitlines()[-1])["step"]


@pytest.mark.slow
def test_two_devices_and_two_parts_learn_what_one_does(rows, tmp_path, corpus, pretrained, run_python):
    options = {"steps": 4, "batch_size": 8, "learning_rate": 1e-3, "warmup_steps": 0, "dropout": 0.0, "log_every": 1}
    process = run_python(MIRRORED, corpus, pretrained, tmp_path, json.dumps(options | {"show_progress": False}))
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    one, mirrored = rows(tmp_path / "one"), rows(tmp_path / "mirrored")
    assert len(one) == len(mirrored) == 4
    for row, expected in zip(mirrored, one, strict=True):
        # The norm of the gradient too: Adam alone would hide one that is scaled by a constant.
        assert row == pytest.approx(expected, rel=1e-4)


@pytest.mark.long
@pytest.mark.parametrize(("learning_rate", "status"), [(1e-3, 0), (1e30, 1)])
def test_nothing_is_read_ahead_when_python_ends(tmp_path, corpus, pretrained, run_python, learning_rate, status):
    """TensorFlow would say so: "Error occurred when finalizing GeneratorDataset iterator"."""
    code = f"""
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
from kbert.training.pretrain import pretrain
corpus, model, output = sys.argv[1:]
pretrain(
    corpus=corpus, model=model, output=output, steps=20, batch_size=4, show_progress=False,
    learning_rate={learning_rate},
)
"""
    process = run_python(code, corpus, pretrained, tmp_path / "run")
    _, errors = process.communicate(timeout=200)
    assert process.returncode == status, errors
    assert "finalizing GeneratorDataset" not in errors


@pytest.mark.long
def test_rows_between_checkpoints_do_not_depend_on_how_many_steps_a_call_runs(
    rows, tmp_path, uninterrupted, pretrained
):
    """Rows of 50 steps are the means of 50 rows of one step."""
    corpus, expected = uninterrupted
    pretrain(
        corpus=corpus, model=pretrained, output=tmp_path / "run", **OPTIONS | {"log_every": 50, "checkpoint_every": 70}
    )
    single = rows(expected)
    for index, row in enumerate(rows(tmp_path / "run")):
        part = single[50 * index : 50 * index + 50]
        assert row["step"] == part[-1]["step"]
        for name in ("mlm_loss", "nsp_loss", "gradient_norm", "learning_rate"):
            assert row[name] == pytest.approx(sum(each[name] for each in part) / 50, rel=1e-5)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (expected / "model.safetensors").read_bytes()

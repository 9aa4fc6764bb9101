"""Keras callbacks in kbert's runs."""

import csv

import keras
import numpy as np
import pytest

import kbert
from kbert.errors import UsageError
from kbert.training.loop.callbacks import keras_optimizer
from kbert.training.optimizers.schedules import Schedule
from kbert.training.optimizers.settings import OptimizerSettings
from kbert.training.run_folder.step_rows import read_rows


class Recorder(keras.callbacks.Callback):
    """Like W&B's and MLflow's: reads settings and learning rates of the optimizer, and all logs."""

    def __init__(self, stop_at_step=None, stop_at_epoch=None):
        super().__init__()
        self.events, self.batches, self.epochs, self.tests, self.rates = [], [], [], [], []
        self.stop_at_step, self.stop_at_epoch = stop_at_step, stop_at_epoch

    def on_train_begin(self, logs=None):
        self.events.append("train begin")
        self.settings = self.model.optimizer.get_config()
        self.names = [variable.path for variable in self.model.trainable_variables]

    def on_train_end(self, logs=None):
        self.events.append("train end")

    def on_epoch_begin(self, epoch, logs=None):
        self.events.append(f"epoch {epoch} begin")

    def on_epoch_end(self, epoch, logs=None):
        self.events.append(f"epoch {epoch} end")
        self.epochs.append(logs)
        if epoch == self.stop_at_epoch:
            self.model.stop_training = True

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append((batch, logs))
        if int(self.model.optimizer.iterations) == self.stop_at_step:
            self.model.stop_training = True

    def on_test_begin(self, logs=None):
        self.events.append("test begin")

    def on_test_end(self, logs=None):
        self.events.append("test end")
        self.tests.append(logs)


def finetune(tables, output, model, *callbacks, **options):
    return kbert.finetune(
        "classification",
        model=model,
        output=output,
        **tables,
        **{"batch_size": 8, "sequence_length": 16, "epochs": 2, "learning_rate": 1e-3, **options},
        show_progress=False,
        callbacks=callbacks,
    )


@pytest.mark.long
def test_what_a_callback_hears_of_fine_tuning(cats_and_dogs, pretrained, tmp_path):
    recorder, table = Recorder(), tmp_path / "epochs.csv"
    others = [keras.callbacks.CSVLogger(table), keras.callbacks.TensorBoard(tmp_path / "board", update_freq=1)]
    metrics = finetune(cats_and_dogs, tmp_path / "run", pretrained, recorder, *others, log_every=1)
    epoch = ["test begin", "test end"]
    assert recorder.events == [
        "train begin",
        "epoch 0 begin",
        *epoch,
        "epoch 0 end",
        "epoch 1 begin",
        *epoch,
        "epoch 1 end",
        "train end",
    ]
    assert recorder.params == {"epochs": 2, "steps": 3, "verbose": 0}
    # Each step has its own metrics: those of metrics.jsonl, which has a row for each here.
    assert [batch for batch, _ in recorder.batches] == [0, 1, 2, 0, 1, 2]
    rows = read_rows(tmp_path / "run/metrics.jsonl")
    assert len(rows) == 6
    for row, (_, logs) in zip(rows, recorder.batches, strict=True):
        assert {name: row[name] for name in logs} == pytest.approx(logs)
        assert {"loss", "learning_rate", "gradient_norm"} <= set(logs)
    np.testing.assert_allclose(recorder.rates, [logs["learning_rate"] for _, logs in recorder.batches], rtol=1e-5)
    assert recorder.settings["weight_decay"] == 0.01
    assert "encoder" not in recorder.names[0]
    assert recorder.epochs[0]["loss"] == pytest.approx(np.mean([logs["loss"] for _, logs in recorder.batches[:3]]))
    assert [logs["accuracy"] for logs in recorder.tests] == [logs["val_accuracy"] for logs in recorder.epochs]
    assert metrics["accuracy"] == max(logs["val_accuracy"] for logs in recorder.epochs)
    with open(table, newline="") as file:
        assert [float(row["val_accuracy"]) for row in csv.DictReader(file)] == [
            logs["val_accuracy"] for logs in recorder.epochs
        ]
    assert list((tmp_path / "board").rglob("events.*"))


@pytest.mark.slow
def test_callbacks_change_nothing_that_is_learnt(cats_and_dogs, pretrained, tmp_path):
    finetune(cats_and_dogs, tmp_path / "with", pretrained, Recorder())
    finetune(cats_and_dogs, tmp_path / "without", pretrained)
    assert (tmp_path / "with/model.safetensors").read_bytes() == (tmp_path / "without/model.safetensors").read_bytes()


@pytest.mark.long
@pytest.mark.parametrize(("stop", "steps"), [({"stop_at_epoch": 1}, 6), ({"stop_at_step": 2}, 2)])
def test_a_callback_stops_the_run(cats_and_dogs, pretrained, tmp_path, stop, steps):
    recorder = Recorder(**stop)
    metrics = finetune(cats_and_dogs, tmp_path / "run", pretrained, recorder, epochs=50, log_every=1)
    assert len(recorder.batches) == steps
    assert recorder.events[-2:] == [f"epoch {(steps - 1) // 3} end", "train end"]
    assert metrics["examples"] == 24
    assert read_rows(tmp_path / "run/metrics.jsonl")[-1]["step"] == steps
    assert kbert.load(tmp_path / "run").predict(["the fast cat sat ."])[0]["label"] in ("yes", "no")


@pytest.mark.long
def test_the_early_stopping_of_keras(cats_and_dogs, pretrained, tmp_path):
    recorder = Recorder()
    patient = keras.callbacks.EarlyStopping("val_accuracy", patience=1, mode="max", min_delta=2.0)
    finetune(cats_and_dogs, tmp_path / "run", pretrained, recorder, patient, epochs=50)
    assert len(recorder.epochs) == 2


def test_pretraining(corpus, pretrained, tmp_path):
    recorder = Recorder(stop_at_epoch=1)
    kbert.pretrain(
        corpus=corpus,
        model=pretrained,
        output=tmp_path / "run",
        steps=40,
        batch_size=4,
        log_every=7,
        checkpoint_every=4,
        show_progress=False,
        callbacks=[recorder],
    )
    assert [event for event in recorder.events if "test" not in event] == recorder.events
    assert recorder.events[-2:] == ["epoch 1 end", "train end"]
    assert [batch for batch, _ in recorder.batches] == [0, 1, 2, 3] * 2
    assert {"loss", "mlm_loss", "nsp_loss", "learning_rate"} <= set(recorder.epochs[-1])
    assert kbert.load_model(tmp_path / "run").encoder.config.hidden_size == 16


@pytest.mark.parametrize("name", ["adamw", "lamb", "muon", "sgd"])
def test_the_optimizer_that_callbacks_see(name):
    settings = OptimizerSettings(name, weight_decay=0.2, layer_decay=0.5, head_rate=4.0, clip_norm=3.0)
    optimizer = keras_optimizer(settings, Schedule(0.1, 10, 2, "cosine"))
    config = optimizer.get_config()
    found = [config[key] for key in ("weight_decay", "layer_decay", "head_rate", "global_clipnorm")]
    assert found == [0.2, 0.5, 4.0, 3.0]
    optimizer.iterations.assign(2)
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


def test_what_is_no_callback(cats_and_dogs, pretrained, tmp_path):
    with pytest.raises(
        UsageError, match=r"^callbacks must be keras\.callbacks\.Callback objects\. Received: function$"
    ):
        finetune(cats_and_dogs, tmp_path / "run", pretrained, finetune)
    with pytest.raises(UsageError, match="leave them out with find_learning_rate"):
        finetune(cats_and_dogs, tmp_path / "run", pretrained, Recorder(), find_learning_rate=True)

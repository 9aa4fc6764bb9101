import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from kbert.errors import UsageError
from kbert.model_folder.bundle import Bundle
from kbert.options import OptionError
from kbert.prediction.loading import load
from kbert.training.finetune import finetune
from kbert.training.options import FinetuneOptions
from kbert.training.pretrain import pretrain
from kbert.training.run_folder.checkpoints import read_arrays

LORA = "lora:r=2,alpha=3,targets=query+value+output"


def tune(cats_and_dogs, quick, output, **options):
    return finetune("classification", **cats_and_dogs, **quick | {"epochs": 3} | options, output=output)


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("adapter")


@pytest.fixture
def lora_run(module_tmp, cats_and_dogs, quick):
    """A run with LoRA, trained once for this module."""
    folder = module_tmp / "lora"
    if not folder.exists():
        tune(cats_and_dogs, quick, folder, adapter=LORA)
    return folder


def check_same_answers(*folders):
    first, second = (load(folder).predict(["the fast cat sat .", "a slow dog ran .", "cats"]) for folder in folders)
    for one, other in zip(first, second, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)


def test_only_the_adapter_the_pooler_and_the_head_are_trained(pretrained, lora_run):
    base, tuned = Bundle.load(pretrained).tensors, Bundle.load(lora_run).tensors
    same = {name for name in tuned if name in base and np.array_equal(tuned[name], base[name])}
    layer = "bert.encoder.layer.0"
    changed = {f"{layer}.attention.self.query.weight", f"{layer}.attention.self.value.weight",
               f"{layer}.output.dense.weight", "bert.pooler.dense.weight", "bert.pooler.dense.bias"}  # fmt: skip
    assert {name for name in tuned if name.startswith("bert.")} - same == changed
    added = tuned[f"{layer}.attention.self.query.weight"] - base[f"{layer}.attention.self.query.weight"]
    assert np.linalg.matrix_rank(added, tol=1e-5) == 2


def test_the_adapter_is_a_folder_in_the_format_of_peft(lora_run, pretrained):
    folder = lora_run / "adapter"
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "kbert.json",
    ]
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config == {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": str(pretrained.resolve()),
        "revision": None,
        "inference_mode": True,
        "r": 2,
        "lora_alpha": 3,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "target_modules": r".*\.layer\.\d+\.(attention\.self\.)?(query|value|output\.dense)",
        "modules_to_save": ["pooler", "classifier"],
    }
    shapes = {name: list(each.shape) for name, each in
              safetensors.numpy.load_file(folder / "adapter_model.safetensors").items()}  # fmt: skip
    layer = "base_model.model.bert.encoder.layer.0"
    assert shapes == {
        f"{layer}.attention.self.query.lora_A.weight": [2, 16],
        f"{layer}.attention.self.query.lora_B.weight": [16, 2],
        f"{layer}.attention.self.value.lora_A.weight": [2, 16],
        f"{layer}.attention.self.value.lora_B.weight": [16, 2],
        f"{layer}.output.dense.lora_A.weight": [2, 32],
        f"{layer}.output.dense.lora_B.weight": [16, 2],
        "base_model.model.bert.pooler.dense.weight": [16, 16],
        "base_model.model.bert.pooler.dense.bias": [16],
        "base_model.model.classifier.weight": [2, 16],
        "base_model.model.classifier.bias": [2],
    }


def test_the_adapter_gives_the_tensors_and_the_settings_of_the_run(lora_run):
    run, adapter = Bundle.load(lora_run), Bundle.load(lora_run / "adapter")
    assert run.tensors.keys() <= adapter.tensors.keys()  # the base model has heads of pretraining
    for name, tensor in run.tensors.items():
        np.testing.assert_allclose(adapter.tensors[name], tensor, rtol=0, atol=1e-6)
    assert adapter.settings == run.settings
    assert (adapter.architecture, adapter.foreign_config) == (run.architecture, run.foreign_config)
    check_same_answers(lora_run / "adapter", lora_run)


def test_checkpoints_hold_what_is_trained_and_its_slots(lora_run):
    (path,) = sorted((lora_run / "checkpoints").glob("step-*.safetensors"))
    variables = {name for name in read_arrays(path)[0] if not name.startswith("optimizer/")}
    kinds = {name.rpartition("/")[2] for name in variables if "block_0" in name}
    assert kinds == {"lora_query_a", "lora_query_b", "lora_value_a", "lora_value_b", "lora_kernel_a", "lora_kernel_b"}
    assert not any("token_table" in name for name in variables)
    slots = {name for name in read_arrays(path)[0] if name.startswith("optimizer/mean/")}
    assert {name.removeprefix("optimizer/mean/") for name in slots} == variables


@pytest.mark.long
def test_a_run_that_was_stopped_ends_with_the_same_bytes(lora_run, cats_and_dogs, quick, tmp_path):
    import keras

    class Stop(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if self.steps == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(cats_and_dogs, quick, tmp_path / "run", adapter=LORA, checkpoint_every=2, callbacks=[Stop()])
    tune(cats_and_dogs, quick, tmp_path / "run", adapter=LORA, checkpoint_every=2, resume=True)
    for name in ("model.safetensors", "adapter/adapter_model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (lora_run / name).read_bytes()


@pytest.mark.long
def test_training_starts_from_an_adapter(lora_run, cats_and_dogs, quick, tmp_path):
    metrics = tune(cats_and_dogs, quick, tmp_path / "run", model=lora_run / "adapter", epochs=1)
    assert metrics["examples"] == 24
    with pytest.raises(UsageError, match=r"needs a whole model as model. Received: .*merge it first"):
        tune(cats_and_dogs, quick, tmp_path / "other", model=lora_run / "adapter", adapter="lora")


def test_an_adapter_for_another_base_is_refused(lora_run, pretrained, tmp_path):
    other, adapter = tmp_path / "other", tmp_path / "adapter"
    shutil.copytree(pretrained, other)
    shutil.copytree(lora_run / "adapter", adapter)
    weights = safetensors.numpy.load_file(other / "model.safetensors")
    weights["bert.encoder.layer.0.output.dense.bias"] += 1
    safetensors.numpy.save_file(weights, other / "model.safetensors")
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(other)}))
    with pytest.raises(UsageError, match=r"is for another base model: the weights of .*other are not those"):
        Bundle.load(adapter)
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(tmp_path / "x")}))
    with pytest.raises(UsageError, match=r"is missing: there is no folder .*x; if it moved"):
        Bundle.load(adapter)


@pytest.mark.long
def test_bitfit_trains_biases_the_pooler_and_the_head(pretrained, cats_and_dogs, quick, tmp_path):
    tune(cats_and_dogs, quick, tmp_path / "run", adapter="bitfit")
    base, tuned = Bundle.load(pretrained).tensors, Bundle.load(tmp_path / "run").tensors
    changed = {name for name in tuned if name in base and not np.array_equal(tuned[name], base[name])}
    assert changed == {name for name in tuned if name.endswith(".bias") and name.startswith("bert.")} | {
        "bert.pooler.dense.weight"
    }
    adapter = Bundle.load(tmp_path / "run" / "adapter")
    for name, tensor in tuned.items():
        np.testing.assert_array_equal(adapter.tensors[name], tensor)
    check_same_answers(tmp_path / "run" / "adapter", tmp_path / "run")


def test_pretraining_with_an_adapter(pretrained, corpus_text, tmp_path):
    from kbert.corpus.building.build import build_corpus

    build_corpus([corpus_text], vocab=pretrained, output=tmp_path / "corpus", sequence_length=16)
    pretrain(corpus=tmp_path / "corpus", model=pretrained, output=tmp_path / "run", steps=3, batch_size=4,
             adapter="lora:r=2", show_progress=False)  # fmt: skip
    base, run = Bundle.load(pretrained).tensors, Bundle.load(tmp_path / "run").tensors
    changed = {name for name in run if name.startswith("bert.enc") and not np.array_equal(run[name], base[name])}
    layer = "bert.encoder.layer.0.attention.self"
    assert changed == {f"{layer}.query.weight", f"{layer}.value.weight"}
    adapter = Bundle.load(tmp_path / "run" / "adapter")
    assert adapter.architecture == "BertForPreTraining"
    assert adapter.tensors.keys() == run.keys()
    for name, tensor in run.items():
        np.testing.assert_allclose(adapter.tensors[name], tensor, rtol=0, atol=1e-6)
    config = json.loads((tmp_path / "run" / "adapter" / "adapter_config.json").read_text())
    assert (config["task_type"], config["modules_to_save"]) == (None, ["pooler", "cls"])


def test_a_preset_gets_no_adapter(cats_and_dogs, quick, tmp_path, vocab_file):
    with pytest.raises(
        UsageError, match=r"^adapter needs a model with pretrained weights as model. Received: model=.tiny., a preset"
    ):
        tune(cats_and_dogs, quick, tmp_path / "run", model="tiny", vocab=vocab_file, adapter="lora")


def test_options_that_are_refused():
    given = {"model": "m", "train": "t", "output": "o"}
    with pytest.raises(
        OptionError, match=r"^adapter must have a whole number of at least 1 as r. Received: adapter='l"
    ):
        FinetuneOptions(**given, adapter="lora:r=0")
    with pytest.raises(OptionError, match=r"^adapter freezes the base model; leave frozen_encoder out"):
        FinetuneOptions(**given, adapter="lora", frozen_encoder=True)

import json

import numpy as np
import pytest
import safetensors.numpy

from kbert.errors import BundleError, UsageError
from kbert.model_folder.adapters.adapter_hub import adapter_hub_config, read_bottlenecks, stored_files
from kbert.model_folder.adapters.base import base_folder
from kbert.model_folder.adapters.folder import read_adapter

BLOCK = "bert.encoder.layer.0.output"
SEQ_BN = {"mh_adapter": False, "output_adapter": True, "original_ln_before": True, "non_linearity": "relu",
          "reduction_factor": 16, "scaling": 2.0}  # fmt: skip


def write(folder, settings=SEQ_BN, *, tensors=None, head=None, head_class="BertForSequenceClassification", **further):
    """The folder of an adapter as AdapterHub's package writes it, with a base model of width 4."""
    folder.mkdir(exist_ok=True)
    config = {"config": settings, "model_name": "base", "model_type": "bert", "version": "adapters.1.0.0"} | further
    (folder / "adapter_config.json").write_text(json.dumps(config))
    names = {
        f"{BLOCK}.adapters.films.adapter_down.0.weight": (1, 4),
        f"{BLOCK}.adapters.films.adapter_down.0.bias": (1,),
        f"{BLOCK}.adapters.films.adapter_up.weight": (4, 1),
        f"{BLOCK}.adapters.films.adapter_up.bias": (4,),
    }
    tensors = {name: np.ones(shape, np.float32) for name, shape in names.items()} | (tensors or {})
    safetensors.numpy.save_file(tensors, folder / "adapter.safetensors")
    if head is not None:
        labels = {"no": 0, "yes": 1}
        (folder / "head_config.json").write_text(json.dumps({"model_class": head_class, "label2id": labels}))
        safetensors.numpy.save_file(head, folder / "model_head.safetensors")
    return folder


def test_an_adapter_and_its_head_are_read(tmp_path):
    head = {"classifier.weight": np.ones((2, 4), np.float32), "classifier.bias": np.zeros(2, np.float32)}
    adapter = read_adapter(write(tmp_path / "adapter", head=head))
    assert (adapter.bottleneck_size, adapter.bottleneck_act) == (1, "relu")
    assert adapter.architecture == "BertForSequenceClassification"
    assert adapter.further == {"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}}
    assert {name: tensor.ravel()[0] for name, tensor in adapter.tensors.items()} == {
        f"{BLOCK}.bottleneck.down.weight": 1,
        f"{BLOCK}.bottleneck.down.bias": 1,
        f"{BLOCK}.bottleneck.up.weight": 2,  # the scaling
        f"{BLOCK}.bottleneck.up.bias": 2,
        "classifier.weight": 1,
        "classifier.bias": 0,
    }


def test_the_names_of_a_bare_model_and_of_old_activations(tmp_path):
    bare = {f"{BLOCK}.adapters.films.adapter_up.bias".removeprefix("bert."): np.zeros(4, np.float32)}
    folder = write(tmp_path / "adapter", SEQ_BN | {"non_linearity": "gelu"}, tensors=bare)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert read_bottlenecks(folder, config).act == "gelu"
    del config["version"]
    content = read_bottlenecks(folder, config)
    assert content.act == "gelu_new"
    np.testing.assert_array_equal(content.tensors[f"{BLOCK}.bottleneck.up.bias"], np.zeros(4))


def test_what_is_written_is_read_again(tmp_path):
    shapes = {
        f"{BLOCK}.bottleneck.down.weight": (2, 4),
        f"{BLOCK}.bottleneck.down.bias": (2,),
        "bert.pooler.dense.bias": (4,),
        "qa_outputs.bias": (2,),
    }
    tensors = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    config = adapter_hub_config("base", reduction=2, act="relu", architecture="BertForQuestionAnswering", hidden_size=4)
    stored, head_config = stored_files(tensors, config, {"num_labels": 2})
    assert set(stored["adapter.safetensors"]) == {
        f"{BLOCK}.adapters.kbert.adapter_down.0.weight",
        f"{BLOCK}.adapters.kbert.adapter_down.0.bias",
        "bert.pooler.dense.bias",
    }
    assert (head_config["model_class"], head_config["num_labels"]) == ("BertForQuestionAnswering", 2)
    for name, values in stored.items():
        safetensors.numpy.save_file(values, tmp_path / name)
    (tmp_path / "head_config.json").write_text(json.dumps(head_config))
    content = read_bottlenecks(tmp_path, config)
    assert content.tensors.keys() == tensors.keys()
    assert (content.size, content.architecture) == (2, "BertForQuestionAnswering")


def test_the_base_model_is_the_one_that_either_key_names(tmp_path):
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    names = {"model_name": "first"}
    assert base_folder(tmp_path, names) == tmp_path / "first"
    assert base_folder(tmp_path, names | {"base_model_name_or_path": "second"}) == tmp_path / "second"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"mh_adapter": True}, r"seq_bn: expected mh_adapter=False. Received: mh_adapter=True$"),
        ({"original_ln_before": False}, r"expected original_ln_before=True. Received: original_ln_before=False$"),
        ({"inv_adapter": "nice"}, r"expected inv_adapter=None. Received: inv_adapter='nice'$"),
        ({"residual_before_ln": "post_add"}, r"expected residual_before_ln=True. Received: .*'post_add'$"),
        ({"leave_out": [1]}, r"expected leave_out=\[\]. Received: leave_out=\[1\]$"),
        ({"non_linearity": "swish"}, r"as non_linearity. Received: 'swish'$"),
        ({"scaling": "learned"}, r"expected a number as scaling. Received: 'learned'$"),
    ],
)
def test_settings_that_are_refused(tmp_path, settings, problem):
    with pytest.raises(UsageError, match=problem):
        read_adapter(write(tmp_path / "adapter", SEQ_BN | settings))


def test_files_that_are_refused(tmp_path):
    folder = write(tmp_path / "one", tensors={"bert.invertible_adapters.films.F.0.weight": np.ones(1, np.float32)})
    with pytest.raises(
        UsageError, match=r"does not support this part of an adapter. Received: the tensor 'bert.invert"
    ):
        read_adapter(folder)
    folder = write(tmp_path / "two", head={"heads.films.1.weight": np.ones((2, 4), np.float32)})
    with pytest.raises(UsageError, match=r"does not support this head. Received: the tensor 'heads.films.1.weight'"):
        read_adapter(folder)
    folder = write(tmp_path / "three", head={"classifier.bias": np.ones(2, np.float32)}, head_class="BertAdapterModel")
    with pytest.raises(UsageError, match=r"as model_class. Received: 'BertAdapterModel'$"):
        read_adapter(folder)
    (tmp_path / "one" / "adapter.safetensors").unlink()
    with pytest.raises(BundleError, match=r"^expected adapter.safetensors or pytorch_adapter.bin in .* neither$"):
        read_adapter(tmp_path / "one")

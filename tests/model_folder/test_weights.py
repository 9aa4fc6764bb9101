import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from kbert.errors import BundleError
from kbert.model_folder.weights import Weights, save_weights

TENSORS = {
    "bert.embeddings.word_embeddings.weight": np.arange(6, dtype=np.float32).reshape(3, 2),
    "cls.predictions.bias": np.float32([1, 2, 3]),
    "classifier.weight": np.float32([[0.5, -1]]),
}


def write_shards(folder, shards, **changes):
    """Writes {file: tensors} with an index; `changes` move names in it."""
    for file, tensors in shards.items():
        safetensors.numpy.save_file(tensors, folder / file)
    places = {name: file for file, tensors in shards.items() for name in tensors}
    index = {"metadata": {"total_size": 1}, "weight_map": places | changes.get("moved", {})}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def assert_same(read, expected):
    assert read.keys() == expected.keys()
    for name, tensor in expected.items():
        assert read[name].dtype == tensor.dtype
        assert read[name].tobytes() == tensor.tobytes()


def test_shapes_are_known_before_anything_is_read(tmp_path):
    save_weights(tmp_path, TENSORS)
    weights = Weights(tmp_path)
    assert dict(weights) == {name: tensor.shape for name, tensor in TENSORS.items()}
    assert len(weights) == 3
    assert_same(weights.read(), TENSORS)


def test_dtypes_stay(tmp_path):
    tensors = {
        "a": np.float16([1.5]),
        "b": np.array([2.5], ml_dtypes.bfloat16),
        "c": np.float64([0.1]),
        "d": np.float32([[3]]),
    }
    save_weights(tmp_path, tensors)
    assert_same(Weights(tmp_path).read(), tensors)


def test_the_same_tensors_are_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    save_weights(tmp_path / "a", TENSORS)
    save_weights(tmp_path / "b", dict(reversed(TENSORS.items())))
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_weights_in_several_files_are_read(tmp_path):
    names = list(TENSORS)
    write_shards(
        tmp_path,
        {
            "model-00001-of-00002.safetensors": {name: TENSORS[name] for name in names[:1]},
            "model-00002-of-00002.safetensors": {name: TENSORS[name] for name in names[1:]},
        },
    )
    assert_same(Weights(tmp_path).read(), TENSORS)


def test_names_of_2018_and_of_a_bare_model(tmp_path):
    tensor = np.float32([1])
    save_weights(
        tmp_path,
        {
            "embeddings.LayerNorm.gamma": tensor,
            "encoder.layer.0.output.LayerNorm.beta": tensor,
            "pooler.dense.bias": tensor,
            "cls.predictions.transform.LayerNorm.gamma": tensor,
        },
    )
    assert set(Weights(tmp_path)) == {
        "bert.embeddings.LayerNorm.weight",
        "bert.encoder.layer.0.output.LayerNorm.bias",
        "bert.pooler.dense.bias",
        "cls.predictions.transform.LayerNorm.weight",
    }


def test_what_nobody_needs_is_left_out(tmp_path):
    table = TENSORS["bert.embeddings.word_embeddings.weight"]
    save_weights(
        tmp_path,
        TENSORS
        | {
            "bert.embeddings.position_ids": np.arange(4)[None],
            "cls.predictions.decoder.weight": table,
            "cls.predictions.decoder.bias": TENSORS["cls.predictions.bias"],
        },
    )
    assert_same(Weights(tmp_path).read(), TENSORS)


def test_a_decoder_that_is_not_tied_is_kept(tmp_path):
    """The projection under its name; of two biases the one that Transformers adds, the decoder's."""
    table = TENSORS["bert.embeddings.word_embeddings.weight"]
    bias = np.float32([7, 8, 9])
    untied = {"cls.predictions.decoder.weight": table + 1, "cls.predictions.decoder.bias": bias}
    save_weights(tmp_path, TENSORS | untied)
    expected = {"cls.predictions.decoder.weight": table + 1, "cls.predictions.bias": bias}
    assert_same(Weights(tmp_path).read(), TENSORS | expected)


def test_one_end_of_tied_weights_is_enough(tmp_path):
    """Which end is kept is a matter of the program that wrote the file."""
    names = {
        "bert.embeddings.word_embeddings.weight": "cls.predictions.decoder.weight",
        "cls.predictions.bias": "cls.predictions.decoder.bias",
    }
    save_weights(tmp_path, {names.get(name, name): tensor for name, tensor in TENSORS.items()})
    assert set(Weights(tmp_path)) == set(TENSORS)
    assert_same(Weights(tmp_path).read(), TENSORS)


ENCODER = {
    "embeddings.word_embeddings.weight": np.float32([[1]]),
    "embeddings.position_embeddings.weight": np.float32([[2]]),
    "embeddings.LayerNorm.weight": np.float32([3]),
    "encoder.layer.0.output.dense.bias": np.float32([4]),
    "pooler.dense.bias": np.float32([5]),
}
HEADS = {"cls.predictions.bias": np.float32([6]), "classifier.weight": np.float32([[7]]), "other": np.float32([8])}
CURRENT = {f"bert.{name}": tensor for name, tensor in ENCODER.items()}


@pytest.mark.parametrize(
    "prefix",
    ["", "bert.", "module.", "module.bert.", "0.auto_model.", "model.", "model.bert.", "bert.bert.", "encoder.",
     "_orig_mod.module.bert.", "transformer.", "query_encoder.bert_model."],
)  # fmt: skip
def test_what_stands_before_all_names(tmp_path, prefix):
    save_weights(tmp_path, {prefix + name: tensor for name, tensor in ENCODER.items()})
    assert_same(Weights(tmp_path).read(), CURRENT)


@pytest.mark.parametrize(
    ("encoder", "heads"),
    [
        ("bert.", ""),
        ("module.bert.", "module."),
        ("model.bert.", "model."),
        ("bert.bert.", "bert."),
        ("bert.bert.", ""),
        ("encoder.", ""),
        ("module.encoder.", "module."),
        ("model.encoder.", ""),
    ],
)
def test_heads_beside_a_prefixed_encoder(tmp_path, encoder, heads):
    tensors = {encoder + name: tensor for name, tensor in ENCODER.items()}
    save_weights(tmp_path, tensors | {heads + name: tensor for name, tensor in HEADS.items() if name != "other"})
    assert_same(Weights(tmp_path).read(), CURRENT | {name: HEADS[name] for name in HEADS if name != "other"})


def test_names_of_other_heads_stay(tmp_path):
    save_weights(tmp_path, {f"encoder.{name}": tensor for name, tensor in ENCODER.items()} | HEADS)
    assert_same(Weights(tmp_path).read(), CURRENT | HEADS)


def test_buffers_and_old_names_behind_a_prefix(tmp_path):
    tensors = {f"module.bert.{name}": tensor for name, tensor in ENCODER.items()}
    tensors["module.bert.embeddings.LayerNorm.gamma"] = tensors.pop("module.bert.embeddings.LayerNorm.weight")
    tensors["module.bert.embeddings.position_ids"] = np.arange(3)[None]
    save_weights(tmp_path, tensors)
    assert_same(Weights(tmp_path).read(), CURRENT)


def test_counters_of_training_are_left_out(tmp_path):
    save_weights(tmp_path, CURRENT | {"loss.steps": np.int64([3])})
    assert_same(Weights(tmp_path).read(), CURRENT)


def test_several_encoders(tmp_path):
    tensors = {f"{side}.{name}": tensor for side in ("query", "passage") for name, tensor in ENCODER.items()}
    save_weights(tmp_path, tensors)
    refused(tmp_path, r"one encoder\. Received: several, whose names begin with 'passage\.', 'query\.'; save the one")


def test_weights_of_pytorch(tmp_path, write_torch_file):
    write_torch_file(tmp_path / "pytorch_model.bin", TENSORS)
    assert_same(Weights(tmp_path).read(), TENSORS)
    shards = {"pytorch_model-00001-of-00002.bin": {}, "pytorch_model-00002-of-00002.bin": {}}
    for place, (name, tensor) in enumerate(TENSORS.items()):
        list(shards.values())[place % 2][name] = tensor
    (tmp_path / "sharded").mkdir()
    for file, tensors in shards.items():
        write_torch_file(tmp_path / "sharded" / file, tensors)
    places = {name: file for file, tensors in shards.items() for name in tensors}
    (tmp_path / "sharded" / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    assert_same(Weights(tmp_path / "sharded").read(), TENSORS)


def test_safetensors_go_before_files_of_pytorch(tmp_path):
    save_weights(tmp_path, TENSORS)
    (tmp_path / "pytorch_model.bin").write_bytes(b"never opened")
    assert_same(Weights(tmp_path).read(), TENSORS)


# === Untrusted files ===


def refused(folder, pattern):
    with pytest.raises(BundleError, match=pattern) as raised:
        Weights(folder).read()
    assert "\n" not in str(raised.value)


def test_no_weights(tmp_path):
    refused(tmp_path, r"^expected model\.safetensors or pytorch_model\.bin in .* Received: neither$")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    refused(
        tmp_path, r"pytorch_model\.bin: it is damaged, or not a file of torch\.save \(File is not a zip file\)\. If you"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        b"\xff" * 8,  # a header of 2^64 - 1 bytes
        (10**9).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}" + b"no tensor holds this",
        (9).to_bytes(8, "little") + b"not JSON!",
        (4).to_bytes(8, "little") + b"null",
        (1_000_000).to_bytes(8, "little") + b"[" * 1_000_000,
    ],
)
def test_headers_that_cannot_be(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    refused(tmp_path, r"model\.safetensors is damaged \(")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]},
        {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": "x", "data_offsets": [0, 4]},
        {},
    ],
)
def test_entries_that_cannot_be(tmp_path, entry):
    header = json.dumps({"bert.x": entry}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    refused(tmp_path, r"model\.safetensors is damaged \(")


def test_dtypes_that_are_no_weights(tmp_path):
    save_weights(tmp_path, {"bert.x": np.int64([1])})
    refused(tmp_path, r"the tensor 'bert\.x' must be of F32, F16, BF16, F64\. Received: I64$")


def test_a_tensor_under_two_names(tmp_path):
    tensor = np.float32([1])
    save_weights(tmp_path, {"pooler.dense.bias": tensor, "bert.pooler.dense.bias": tensor})
    refused(tmp_path, r"the tensor 'bert\.pooler\.dense\.bias' appears twice, once as 'pooler\.dense\.bias'$")


def test_names_in_messages_are_short_and_on_one_line(tmp_path):
    save_weights(tmp_path, {"bert." + "a\nb" * 10_000: np.int64([1])})
    with pytest.raises(BundleError, match="must be of F32") as raised:
        Weights(tmp_path)
    assert len(str(raised.value)) < 500
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "file",
    ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", "..\\x.safetensors", "weights.bin", "", 3, None, ["x"]],
)
def test_an_index_cannot_lead_out_of_the_folder(tmp_path, file):
    save_weights(tmp_path, TENSORS)
    (tmp_path / "model.safetensors").rename(tmp_path.parent / "secret.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"bert.x": file}}))
    refused(tmp_path, r"index\.json: the tensor 'bert\.x' must lie in a \.safetensors file of the same folder\. Rec")


@pytest.mark.parametrize("content", ["[]", "{}", '{"weight_map": 3}', '{"weight_map": {}}'])
def test_an_index_without_a_map(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    refused(tmp_path, r'index\.json: expected an object "weight_map" from tensor names to file names$')


def test_an_index_may_err_about_tied_weights_and_buffers(tmp_path):
    names = list(TENSORS)
    shards = {"a.safetensors": {name: TENSORS[name] for name in names[:1]}}
    shards["b.safetensors"] = {name: TENSORS[name] for name in names[1:]}
    absent = {
        "cls.predictions.decoder.weight": "a.safetensors",
        "cls.predictions.decoder.bias": "b.safetensors",
        "bert.embeddings.position_ids": "a.safetensors",
    }
    write_shards(tmp_path, shards, moved=absent)
    assert_same(Weights(tmp_path).read(), TENSORS)
    # The other way round: the shard has what the index does not list.
    write_shards(tmp_path, shards)
    index = (tmp_path / "model.safetensors.index.json").read_text()
    shards["a.safetensors"]["cls.predictions.decoder.weight"] = TENSORS[names[0]]
    shards["b.safetensors"]["bert.embeddings.position_ids"] = np.arange(2)
    write_shards(tmp_path, shards)
    (tmp_path / "model.safetensors.index.json").write_text(index)
    assert_same(Weights(tmp_path).read(), TENSORS)


def test_an_index_that_contradicts_its_shards(tmp_path):
    shards = {"a.safetensors": {"x": np.float32([1])}, "b.safetensors": {"y": np.float32([1])}}
    write_shards(tmp_path, shards, moved={"z": "b.safetensors"})
    refused(tmp_path, r"index\.json and b\.safetensors contradict each other over the tensor 'z'$")
    write_shards(tmp_path, shards, moved={"y": "a.safetensors"})
    refused(tmp_path, r"index\.json and a\.safetensors contradict each other over the tensor 'y'$")
    write_shards(tmp_path, shards)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "a.safetensors"}} | {"metadata": {}}))
    assert_same(Weights(tmp_path).read(), {"x": np.float32([1])})
    write_shards(tmp_path, shards)
    (tmp_path / "b.safetensors").unlink()
    refused(tmp_path, r"b\.safetensors is missing$")

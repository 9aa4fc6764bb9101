import json

import numpy as np
import pytest
import safetensors.numpy

import kbert
from kbert.errors import BundleError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.weights_digest import weights_sha256
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import encoder_bindings
from kbert.text.tokenizer import Tokenizer

LAYER = "base_model.model.bert.encoder.layer.0.attention.self.query"


@pytest.fixture
def base(tmp_path, vocabulary, small_config, random_tensors):
    """A BertModel with a pooler."""
    bindings = encoder_bindings(BertEncoder(small_config))
    folder = tmp_path / "base"
    Bundle(small_config, Tokenizer(vocabulary), random_tensors(bindings), "BertModel").save(folder, "# A card\n")
    return folder


@pytest.fixture
def adapter(tmp_path, base):
    """Gives the folder of an adapter as PEFT writes it: LoRA of rank 1 with a classifier of three classes."""

    def make(tensors=None, **changes):
        folder = tmp_path / "adapter"
        folder.mkdir(exist_ok=True)
        rng = np.random.default_rng(0)
        shapes = {
            f"{LAYER}.lora_A.weight": (1, 32),
            f"{LAYER}.lora_B.weight": (32, 1),
            "base_model.model.classifier.weight": (3, 32),
            "base_model.model.classifier.bias": (3,),
        }
        stored = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()} | (tensors or {})
        safetensors.numpy.save_file(stored, folder / "adapter_model.safetensors")
        config = {"peft_type": "LORA", "task_type": "SEQ_CLS", "base_model_name_or_path": str(base), "r": 1,
                  "lora_alpha": 4, "bias": "none"}  # fmt: skip
        (folder / "adapter_config.json").write_text(json.dumps(config | changes))
        return folder, stored

    return make


def test_an_adapter_of_peft_is_opened_as_a_model(adapter, base):
    folder, stored = adapter()
    bundle, before = Bundle.load(folder), Bundle.load(base)
    assert (bundle.architecture, bundle.labels) == (
        "BertForSequenceClassification",
        ["LABEL_0", "LABEL_1", "LABEL_2"],
    )
    added = 4 * stored[f"{LAYER}.lora_B.weight"] @ stored[f"{LAYER}.lora_A.weight"]
    name = "bert.encoder.layer.0.attention.self.query.weight"
    np.testing.assert_allclose(bundle.tensors[name], before.tensors[name] + added, rtol=1e-6)
    rows = list(kbert.load(folder).predict(["the cat"]))
    assert sorted(rows[0]["probabilities"]) == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert kbert.load_model(folder).head.dense.units == 3
    assert kbert.Preprocessor.from_preset(folder)(["the cat"])["input_word_ids"][0, :4].numpy().tolist() == [2, 5, 7, 3]


def test_the_scale_of_rank_stabilized_lora(adapter, base):
    down, up = np.ones((4, 32), np.float32), np.ones((32, 4), np.float32)
    folder, _ = adapter({f"{LAYER}.lora_A.weight": down, f"{LAYER}.lora_B.weight": up}, use_rslora=True)
    name = "bert.encoder.layer.0.attention.self.query.weight"
    added = Bundle.load(folder).tensors[name] - Bundle.load(base).tensors[name]
    np.testing.assert_allclose(added, 4 / 2 * 4, rtol=1e-5)


@pytest.mark.parametrize(
    ("patterns", "alpha"),
    [
        ({"value": 9, "query": 3}, 3),
        ({"layer.1.attention.self.query": 3}, 4),
        ({r"encoder.layer.0.attention.self.query": 5, "query": 3}, 5),
        ({"uery": 3}, 4),
    ],
)
def test_the_first_pattern_that_ends_the_name_of_a_layer_gives_its_alpha(adapter, base, patterns, alpha):
    folder, stored = adapter(alpha_pattern=patterns)
    name = "bert.encoder.layer.0.attention.self.query.weight"
    added = alpha * stored[f"{LAYER}.lora_B.weight"] @ stored[f"{LAYER}.lora_A.weight"]
    np.testing.assert_allclose(
        Bundle.load(folder).tensors[name], Bundle.load(base).tensors[name] + added, rtol=1e-5, atol=1e-6
    )


def test_in_dora_the_rows_of_a_kernel_have_the_stored_norms(adapter):
    norms = np.linspace(1, 2, 32, dtype=np.float32)
    folder, _ = adapter({f"{LAYER}.lora_magnitude_vector": norms}, use_dora=True)
    kernel = Bundle.load(folder).tensors["bert.encoder.layer.0.attention.self.query.weight"]
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=1), norms, rtol=1e-5)


def test_lora_of_the_token_table(adapter, base, vocabulary):
    table = "base_model.model.bert.embeddings.word_embeddings"
    down, up = np.zeros((1, len(vocabulary)), np.float32), np.arange(32, dtype=np.float32)[:, None]
    down[0, 5] = 0.5
    folder, _ = adapter({f"{table}.lora_embedding_A": down, f"{table}.lora_embedding_B": up})
    name = "bert.embeddings.word_embeddings.weight"
    added = Bundle.load(folder).tensors[name] - Bundle.load(base).tensors[name]
    np.testing.assert_allclose(added[5], 4 * 0.5 * np.arange(32), rtol=1e-4)
    assert not np.delete(added, 5, axis=0).any()


def test_trained_biases(adapter):
    bias = np.arange(32, dtype=np.float32)
    folder, _ = adapter({f"{LAYER}.base_layer.bias": bias}, bias="lora_only")
    assert Bundle.load(folder).tensors["bert.encoder.layer.0.attention.self.query.bias"].tolist() == bias.tolist()


def test_the_merged_model_is_a_whole_model(adapter, tmp_path, base):
    folder, _ = adapter()
    kbert.merge_adapter(folder, output=tmp_path / "merged")
    merged, adapted = Bundle.load(tmp_path / "merged"), Bundle.load(folder)
    assert merged.architecture == "BertForSequenceClassification"
    assert merged.tensors.keys() == adapted.tensors.keys()
    for name, tensor in merged.tensors.items():
        np.testing.assert_array_equal(tensor, adapted.tensors[name])
    with pytest.raises(UsageError, match=r"expected the folder of an adapter"):
        kbert.merge_adapter(tmp_path / "merged", output=tmp_path / "again")


def test_a_base_that_moved(adapter, base, tmp_path):
    folder, _ = adapter()
    base.rename(tmp_path / "moved")
    with pytest.raises(UsageError, match=r"there is no folder .*base; if it moved, .*`kbert adapters merge --base`"):
        Bundle.load(folder)
    kbert.merge_adapter(folder, output=tmp_path / "merged", base=tmp_path / "moved")
    assert (tmp_path / "merged" / "config.json").exists()


def test_the_digest_of_an_adapter_includes_its_own_weights(adapter, base):
    folder, _ = adapter()
    first = weights_sha256(folder)
    adapter({"base_model.model.classifier.bias": np.zeros(3, np.float32)})
    assert len({first, weights_sha256(folder), weights_sha256(base)}) == 3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"peft_type": "IA3"}, "expected an adapter of the kind LORA. Received: 'IA3'"),
        ({"trainable_token_indices": [5]}, "kbert does not support trained rows of a table"),
        ({"fan_in_fan_out": True}, "kbert does not support kernels that are stored transposed"),
    ],
)
def test_adapters_that_are_not_supported(adapter, changes, problem):
    with pytest.raises(UsageError, match=problem):
        Bundle.load(adapter(**changes)[0])


def test_lora_for_another_base_is_refused_by_its_shapes(adapter):
    folder, _ = adapter({f"{LAYER}.lora_A.weight": np.zeros((1, 16), np.float32)})
    with pytest.raises(UsageError, match=r"another base model: expected .*query.weight' of the shape \[32, 16\]"):
        Bundle.load(folder)


def test_damaged_adapters(adapter):
    folder, _ = adapter({f"{LAYER}.lora_A.weight": np.zeros((2, 32), np.float32)})
    with pytest.raises(BundleError, match=r"expected lora_A"):
        Bundle.load(folder)
    adapter({f"{LAYER}.lora_magnitude_vector": np.ones(31, np.float32)}, use_dora=True)
    with pytest.raises(BundleError, match=r"expected lora_magnitude_vector of the shape \[32\]"):
        Bundle.load(folder)
    adapter({f"{LAYER}.lora_magnitude_vector": np.ones(32, np.float32)})
    with pytest.raises(BundleError, match=r"expected use_dora to be true if adapter_model.safetensors has lora_magn"):
        Bundle.load(folder)
    adapter(alpha_pattern={"(": 2})
    with pytest.raises(BundleError, match=r"expected regular expressions as the keys of alpha_pattern. Received: '\('"):
        Bundle.load(folder)
    (folder / "adapter_model.safetensors").write_bytes(b"\x00")
    with pytest.raises(BundleError, match=r"is damaged"):
        Bundle.load(folder)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(BundleError, match=r"expected adapter_model.safetensors or adapter_model.bin"):
        Bundle.load(folder)
    (folder / "adapter_config.json").write_text("[]")
    with pytest.raises(BundleError, match=r"expected a JSON object"):
        Bundle.load(folder)


def test_only_a_run_with_an_adapter_has_one_to_extract(base, tmp_path):
    with pytest.raises(UsageError, match=r"expected a run that was trained with an adapter"):
        kbert.extract_adapter(base, output=tmp_path / "copy")


def test_the_adapter_of_a_run_is_copied(adapter, tmp_path):
    folder, _ = adapter()
    run = tmp_path / "run"
    run.mkdir()
    folder.rename(run / "adapter")
    kbert.extract_adapter(run, output=tmp_path / "copy")
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert Bundle.load(tmp_path / "copy").architecture == "BertForSequenceClassification"

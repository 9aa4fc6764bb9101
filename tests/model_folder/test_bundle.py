import dataclasses
import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from kbert.errors import BundleError, ConfigError
from kbert.model_folder.bundle import Bundle, is_bundle
from kbert.text.tokenizer import Tokenizer
from kbert.version import __version__


@pytest.fixture
def folder(tmp_path, classifier):
    return shutil.copytree(classifier, tmp_path / "model")


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_round_trip(tmp_path, vocabulary, small_config, classifier):
    bundle = Bundle(
        config=small_config.replace(hidden_act="gelu_new", classifier_dropout=0.25),
        tokenizer=Tokenizer(vocabulary, lowercase=False),
        tensors=Bundle.load(classifier).tensors,
        architecture="BertForSequenceClassification",
        settings={"kind": "task", "labels": ["ü", "b"]},
        foreign_config={"id2label": {"0": "ü"}, "label2id": {"ü": 0}, "problem_type": "single_label_classification"},
    )
    bundle.save(tmp_path / "new" / "model", "# A card\n")
    loaded = Bundle.load(tmp_path / "new" / "model")
    assert loaded.config == bundle.config
    assert loaded.tokenizer.vocabulary == vocabulary
    assert loaded.tokenizer.lowercase is False
    assert loaded.architecture == "BertForSequenceClassification"
    assert loaded.settings == {"kbert_version": __version__, "kind": "task", "labels": ["ü", "b"]}
    assert loaded.foreign_config == bundle.foreign_config
    assert loaded.tensors.keys() == bundle.tensors.keys()
    for name, tensor in bundle.tensors.items():
        np.testing.assert_array_equal(loaded.tensors[name], tensor)
    assert (tmp_path / "new" / "model" / "README.md").read_text() == "# A card\n"


def test_the_same_content_is_the_same_bytes(tmp_path, classifier):
    for name in ("a", "b"):
        Bundle.load(classifier).save(tmp_path / name, "card")
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "README.md",
        "config.json",
        "kbert.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]


def test_files_hold_what_transformers_reads(classifier):
    config = json.loads((classifier / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["model_type"] == "bert"
    assert config["hidden_act"] == "gelu"
    assert config["id2label"] == {"0": "bad", "1": "fine", "2": "good"}
    assert config["label2id"] == {"bad": 0, "fine": 1, "good": 2}
    tokenizer = json.loads((classifier / "tokenizer_config.json").read_text())
    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"  # which takes tokenizer.json as it is
    assert tokenizer["do_lower_case"] is True
    assert tokenizer["model_max_length"] == 32


def test_no_folder(tmp_path):
    with pytest.raises(BundleError, match=r"^expected a model folder\. There is none at .*/nowhere$"):
        Bundle.load(tmp_path / "nowhere")
    assert not is_bundle(tmp_path / "nowhere")


def test_is_bundle(folder, tmp_path):
    assert is_bundle(folder)
    assert not is_bundle(tmp_path)
    assert not is_bundle("tiny")


@pytest.mark.parametrize(
    ("name", "error"),
    [("config.json", BundleError), ("vocab.txt", BundleError), ("model.safetensors", BundleError)],
)
def test_missing_files(folder, name, error):
    (folder / name).unlink()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(error, match=name.replace(".", r"\.")) as raised:
        Bundle.load(folder)
    assert "\n" not in str(raised.value)


def test_a_run_that_has_not_ended(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(BundleError, match="is an unfinished run; repeat its command with --resume"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "kbert.json"])
def test_files_that_a_model_of_another_library_may_lack(folder, name):
    (folder / name).unlink()
    loaded = Bundle.load(folder)
    assert loaded.tokenizer.lowercase is True
    assert bool(loaded.settings) == (name != "kbert.json")


def test_weights_of_pytorch(folder, write_torch_file):
    """pytorch_model.bin gives the same tensors as the safetensors that it was made of."""
    expected = Bundle.load(folder).tensors
    write_torch_file(folder / "pytorch_model.bin", safetensors.numpy.load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    loaded = Bundle.load(folder).tensors
    assert loaded.keys() == expected.keys()
    for name, tensor in expected.items():
        assert loaded[name].tobytes() == tensor.tobytes()
    loaded = Bundle.load(folder)
    loaded.save(folder, "# A card\n")
    assert (folder / "model.safetensors").is_file()


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "kbert.json"])
@pytest.mark.parametrize("content", ["{", "[" * 100_000, "\xff"])
def test_damaged_json(folder, name, content):
    (folder / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(BundleError, match=rf"{name} is not JSON: "):
        Bundle.load(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "kbert.json"])
def test_json_that_is_no_object(folder, name):
    (folder / name).write_text("[1]")
    with pytest.raises((BundleError, ConfigError), match=rf"{name}: expected a JSON object"):
        Bundle.load(folder)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_weights_cut_short(folder, kept):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BundleError, match=r"model\.safetensors is damaged \("):
        Bundle.load(folder)


def test_a_misspelled_config_key(folder):
    edit_json(folder / "config.json", hiden_size=3)
    with pytest.raises(ConfigError, match=r"config\.json: unknown config key 'hiden_size'; ") as raised:
        Bundle.load(folder)
    assert "\n" not in str(raised.value)


def test_config_keys_of_other_programs_are_kept(folder, tmp_path, logged):
    foreign = {"sbert_ce_default_activation_function": "torch.nn.Identity", "emb_size": 32, "auto_map": {"A": "m.M"}}
    edit_json(folder / "config.json", **foreign)
    bundle = Bundle.load(folder)
    assert logged() == [f"{folder}/config.json: these keys are kept, but a BERT does not use them: auto_map, emb_size"]
    bundle.save(tmp_path / "again", "card")
    written = json.loads((tmp_path / "again" / "config.json").read_text())
    assert foreign.items() <= written.items()
    Bundle.load(tmp_path / "again", notices=False)
    assert logged() == []


def test_no_word_where_all_keys_are_known(folder, logged):
    Bundle.load(folder)
    assert logged() == []


def test_a_vocabulary_larger_than_the_config_says(folder):
    (folder / "tokenizer.json").unlink()
    with open(folder / "vocab.txt", "a") as handle:
        handle.write("further\n")
    with pytest.raises(BundleError, match=r"at most the 23 tokens that config\.json says\. Received: 24$"):
        Bundle.load(folder)


def test_a_vocabulary_smaller_than_the_config_says_is_padding(folder):
    (folder / "tokenizer.json").unlink()
    tokens = (folder / "vocab.txt").read_text().splitlines()
    (folder / "vocab.txt").write_text("\n".join(tokens[:-3]) + "\n")
    loaded = Bundle.load(folder)
    assert len(loaded.tokenizer.vocabulary) == 20
    assert loaded.config.vocab_size == 23


def test_names_of_older_and_bare_models(tmp_path, folder, random_tensors):
    """bert-base-uncased of the hub calls LayerNorm's tensors gamma and beta; a bare BertModel has no `bert.`."""
    path = folder / "model.safetensors"
    expected = Bundle.load(folder).tensors
    older = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in expected.items()
    }
    safetensors.numpy.save_file(older, path)
    loaded = Bundle.load(folder).tensors
    assert loaded.keys() == expected.keys()
    np.testing.assert_array_equal(loaded["bert.embeddings.LayerNorm.bias"], expected["bert.embeddings.LayerNorm.bias"])
    bare = {name.removeprefix("bert."): tensor for name, tensor in expected.items() if name.startswith("bert.")}
    safetensors.numpy.save_file(bare, path)
    assert Bundle.load(folder).tensors.keys() == {name for name in expected if name.startswith("bert.")}


def test_the_names_of_labels(classifier):
    bundle = Bundle.load(classifier)

    def labels(names):
        return dataclasses.replace(bundle, foreign_config={"id2label": names}).labels

    assert labels({"1": "b", "0": "a"}) == ["a", "b"]
    assert labels({"0": 5, "1": 7}) == ["5", "7"]
    for wrong in ({"0": "a", "2": "b"}, {"0": None}, {}, ["a"], 5, True):
        with pytest.raises(BundleError, match=r"^config\.json: expected id2label to be an object "):
            labels(wrong)


def test_a_modules_json_of_the_model_that_was_there_is_removed(folder):
    """Otherwise the weights in 0_Transformer would be loaded instead of those that were saved."""
    bundle = Bundle.load(folder)
    shutil.copytree(folder, folder / "0_Transformer")
    module = {"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}
    (folder / "modules.json").write_text(json.dumps([module]))
    changed = {name: tensor + 1 for name, tensor in bundle.tensors.items()}
    dataclasses.replace(bundle, tensors=changed).save(folder, "# A card\n")
    loaded = Bundle.load(folder)
    assert loaded.modules is None
    np.testing.assert_array_equal(loaded.tensors["classifier.bias"], bundle.tensors["classifier.bias"] + 1)

"""Adapters of kbert in PEFT, and of PEFT in kbert, give the same logits."""

import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from kbert.errors import BundleError
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import encoder_bindings
from kbert.prediction.loading import load
from kbert.pretrained.loading import load_model
from kbert.text.tokenizer import Tokenizer
from kbert.training.finetune import finetune

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("default")]

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

IDS = np.array([[2, 5, 7, 9, 3, 0], [2, 6, 8, 12, 13, 3]])


@pytest.fixture
def base(tmp_path, vocabulary, small_config, random_tensors):
    bindings = encoder_bindings(BertEncoder(small_config))
    folder = tmp_path / "base"
    Bundle(small_config, Tokenizer(vocabulary), random_tensors(bindings), "BertModel").save(folder, "# A card\n")
    return folder


def kbert_logits(folder):
    inputs = {"input_word_ids": IDS, "input_mask": (IDS > 0).astype(int), "input_type_ids": IDS * 0}
    outputs = load_model(folder)({name: value.astype(np.int32) for name, value in inputs.items()})
    return np.asarray(outputs["logits"])


def peft_logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor(IDS), attention_mask=torch.tensor((IDS > 0).astype(int))).logits


TABLES = {
    "classification": "text,label\nthe cat sat,yes\nthe dog ran,no\na cat,yes\nslow dog,no\n",
    "tagging": "the\tO\ncat\tB-X\nsat\tO\n\na\tO\ndog\tB-Y\nran\tO\n\n",
}


@pytest.mark.parametrize("targets", ["query+value", "output", "query+key+value+attention_output+intermediate+output"])
def test_peft_opens_an_adapter_of_kbert(base, tmp_path, targets, recwarn):
    train = tmp_path / "train.csv"
    train.write_text(TABLES["classification"])
    finetune("classification", model=base, train=train, validation=train, output=tmp_path / "run", epochs=5,
             batch_size=4, learning_rate=1e-2, adapter=f"lora:r=3,targets={targets}", show_progress=False)  # fmt: skip
    whole = transformers.AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    adapted = peft.PeftModel.from_pretrained(whole, tmp_path / "run" / "adapter")
    assert not [each for each in recwarn if "nexpected" in str(each.message) or "missing" in str(each.message)]
    expected = kbert_logits(tmp_path / "run")
    assert np.abs(expected - kbert_logits(tmp_path / "run" / "adapter")).max() < 1e-5
    np.testing.assert_allclose(peft_logits(adapted), expected, atol=1e-5)
    np.testing.assert_allclose(peft_logits(adapted.merge_and_unload()), expected, atol=1e-5)
    automatic = peft.AutoPeftModelForSequenceClassification.from_pretrained(tmp_path / "run" / "adapter")
    np.testing.assert_allclose(peft_logits(automatic), expected, atol=1e-5)


def test_peft_opens_an_adapter_of_a_tagger(base, tmp_path):
    train = tmp_path / "train.tsv"
    train.write_text(TABLES["tagging"])
    finetune("tagging", model=base, train=train, validation=train, output=tmp_path / "run", epochs=5,
             batch_size=4, learning_rate=1e-2, adapter="lora", show_progress=False)  # fmt: skip
    labels = len(Bundle.load(tmp_path / "run").labels)
    whole = transformers.AutoModelForTokenClassification.from_pretrained(base, num_labels=labels)
    adapted = peft.PeftModel.from_pretrained(whole, tmp_path / "run" / "adapter")
    np.testing.assert_allclose(peft_logits(adapted)[1], kbert_logits(tmp_path / "run")[1], atol=1e-5)


@pytest.mark.parametrize(
    ("task_type", "settings"),
    [
        ("SEQ_CLS", {"target_modules": ["query", "value"]}),
        ("SEQ_CLS", {"target_modules": ["dense", "key"], "exclude_modules": ["pooler.dense"], "use_rslora": True}),
        # Without exclude_modules PEFT 0.21 fails: it adds LoRA to the classifier, which it also saves as a whole.
        ("TOKEN_CLS", {"target_modules": "all-linear", "exclude_modules": ["classifier"]}),
        ("SEQ_CLS", {"target_modules": ["query"], "modules_to_save": ["pooler", "classifier"], "rank_pattern": {
            "layer.1.attention.self.query": 2}}),
        ("SEQ_CLS", {"target_modules": ["query", "value", "output.dense"], "alpha_pattern": {
            "layer.1.attention.self.query": 3, r"^bert.encoder.layer.0.*value": 5, "value": 7}}),
        ("SEQ_CLS", {"target_modules": ["query", "output.dense"], "bias": "lora_only"}),
        ("TOKEN_CLS", {"target_modules": ["query", "value"], "bias": "all"}),
        ("SEQ_CLS", {"target_modules": ["query", "intermediate.dense"], "use_dora": True}),
        ("SEQ_CLS", {"target_modules": ["query", "word_embeddings"]}),
        ("SEQ_CLS", {"target_modules": ["query"], "modules_to_save": ["word_embeddings", "classifier"]}),
    ],
)  # fmt: skip
def test_kbert_opens_an_adapter_of_peft(base, tmp_path, task_type, settings):
    kind = {"SEQ_CLS": "AutoModelForSequenceClassification", "TOKEN_CLS": "AutoModelForTokenClassification"}[task_type]
    torch.manual_seed(0)
    whole = getattr(transformers, kind).from_pretrained(base, num_labels=3)
    adapted = peft.get_peft_model(whole, peft.LoraConfig(task_type=task_type, r=4, lora_alpha=6, **settings))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
                assert "pooler" not in name or "modules_to_save" in settings or "all-linear" in settings.values()
    adapted.save_pretrained(tmp_path / "adapter")
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"]
    received, expected = kbert_logits(tmp_path / "adapter"), np.asarray(peft_logits(adapted))
    if task_type == "TOKEN_CLS":  # kbert returns zeros at padding
        received, expected = received[1], expected[1]
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_kbert_opens_an_adapter_of_the_classifier_of_a_tagger(base, tmp_path):
    torch.manual_seed(0)
    whole = transformers.AutoModelForTokenClassification.from_pretrained(base, num_labels=3)
    whole.save_pretrained(tmp_path / "tagger")
    shutil.copy(base / "vocab.txt", tmp_path / "tagger")
    whole = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "tagger")
    adapted = peft.get_peft_model(whole, peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "adapter")
    stored = safetensors.numpy.load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert "base_model.model.classifier.lora_A.weight" in stored
    np.testing.assert_allclose(kbert_logits(tmp_path / "adapter")[1], peft_logits(adapted)[1], atol=1e-5)


def test_an_adapter_of_the_token_table_of_a_masked_language_model_is_refused(base, tmp_path):
    torch.manual_seed(0)
    whole = transformers.BertForMaskedLM.from_pretrained(base)
    whole.save_pretrained(tmp_path / "mlm")
    shutil.copy(base / "vocab.txt", tmp_path / "mlm")
    whole = transformers.BertForMaskedLM.from_pretrained(tmp_path / "mlm")
    settings = {"target_modules": ["word_embeddings", "value"], "init_lora_weights": False}
    adapted = peft.get_peft_model(whole, peft.LoraConfig(r=4, **settings))
    adapted.save_pretrained(tmp_path / "adapter")
    # PEFT does not change the decoder with the table, to which kbert ties it.
    with pytest.raises(BundleError, match=r"^the tensor cls.predictions.decoder.weight must equal the token table"):
        load(tmp_path / "adapter")

"""`finetune --tokenizer mediapipe` trains with the tokens that MediaPipe gives on phones."""

import json

import pytest

from kbert.config import BertConfig
from kbert.errors import BundleError, UsageError
from kbert.model_folder.tokenizer import load_model_tokenizer
from kbert.prediction.loading import load
from kbert.text.tokenizer import Tokenizer
from kbert.training.finetune import finetune
from kbert.training.starting_point import StartingPoint


@pytest.mark.long
def test_a_run_stores_the_normalization(tmp_path, pretrained):
    table = tmp_path / "films.csv"
    table.write_text("text,label\nthe cat sat,good\nthe dog ran,bad\na cat,good\na dog,bad\n")
    run = tmp_path / "run"
    options = {"epochs": 1, "sequence_length": 12, "show_progress": False}
    finetune(
        "classification",
        model=pretrained,
        tokenizer="mediapipe",
        train=table,
        validation=table,
        output=run,
        **options,
    )
    tokenizer = load(run).tokenizer
    assert tokenizer.settings.normalization == "mediapipe"
    assert tokenizer.encode("The cát").tokens == ["[CLS]", "the", "[UNK]", "[SEP]"]
    assert load(pretrained).tokenizer.encode("The cát").tokens == ["[CLS]", "the", "cat", "[SEP]"]


@pytest.mark.long
def test_an_adapter_stores_the_normalization(tmp_path, cats_and_dogs, quick):
    run = tmp_path / "run"
    finetune("classification", adapter="bitfit", tokenizer="mediapipe", output=run, **cats_and_dogs, **quick)
    for tokenizer in (load(run / "adapter").tokenizer, load_model_tokenizer(run / "adapter")):
        assert tokenizer.settings.normalization == "mediapipe"
        assert tokenizer.encode("The cát").tokens == ["[CLS]", "the", "[UNK]", "[SEP]"]
    texts = ["the cát sat", "a dog"]
    assert load(run / "adapter").predict(texts) == load(run).predict(texts)
    path = run / "adapter" / "kbert.json"
    settings = json.loads(path.read_text())
    assert settings["adapter"]["normalization"] == "mediapipe"
    settings["adapter"]["normalization"] = "upper"
    path.write_text(json.dumps(settings))
    with pytest.raises(BundleError, match=r"expected one of bert, mediapipe as the normalization of the adapter\. Rec"):
        load_model_tokenizer(run / "adapter")


def test_a_cased_model_is_refused(vocabulary):
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    start = StartingPoint("tiny", config, Tokenizer(vocabulary, lowercase=False), None)
    with pytest.raises(UsageError, match=r"Received: a cased model; start from an uncased model, or leave out --tok"):
        start.with_mediapipe_tokenizer()

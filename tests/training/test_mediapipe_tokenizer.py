"""`finetune --tokenizer mediapipe` trains with the tokens that MediaPipe gives on phones."""

import pytest

from kbert.config import BertConfig
from kbert.errors import UsageError
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


def test_a_cased_model_is_refused(vocabulary):
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    start = StartingPoint("tiny", config, Tokenizer(vocabulary, lowercase=False), None)
    with pytest.raises(UsageError, match=r"Received: a cased model; start from an uncased model, or leave out --tok"):
        start.with_mediapipe_tokenizer()

import shutil

import numpy as np
import pytest

from kbert.errors import UsageError
from kbert.model_folder.bundle import Bundle
from kbert.training.options import FinetuneOptions
from kbert.training.starting_point import load_start, starting_point


def test_the_digest_is_that_of_the_weights(tmp_path, pretrained):
    digest = starting_point(pretrained, None, False).digest()
    shutil.copytree(pretrained, tmp_path / "copy")
    assert starting_point(tmp_path / "copy", None, False).digest() == digest
    bundle = Bundle.load(pretrained)
    name = "bert.pooler.dense.bias"
    bundle.tensors[name] = np.nextafter(bundle.tensors[name], np.float32(1))
    bundle.save(tmp_path / "other", "card")
    assert starting_point(tmp_path / "other", None, False).digest() != digest


def test_a_preset(vocab_file):
    start = starting_point("tiny", vocab_file, False)
    assert (start.bundle, start.digest(), start.config.hidden_size) == (None, "tiny", 128)
    assert load_start("tiny") is None
    options = FinetuneOptions(model="tiny", train="a", output="b", dropout=0.25, initializer_range=0.05)
    config = start.with_settings(options).config
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.25, 0.25)
    assert config.initializer_range == 0.05


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(UsageError, match=r"^--model must be a preset \(tiny, .*\) or a model folder\. Received: "):
        load_start(tmp_path)

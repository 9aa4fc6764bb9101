import dataclasses
import json

import pytest

from kbert.config import PRESETS, BertConfig, preset_config
from kbert.errors import ConfigError


def test_defaults_are_the_original_base():
    assert BertConfig().to_dict() == {
        "model_type": "bert",
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "classifier_dropout": None,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }


def test_presets():
    named = [name for name in PRESETS if not name.startswith("L-")]
    shapes = {name: preset_config(name) for name in named}
    assert {
        name: (c.num_hidden_layers, c.hidden_size, c.num_attention_heads, c.intermediate_size, c.vocab_size)
        for name, c in shapes.items()
    } == {
        "tiny": (2, 128, 2, 512, 30522),
        "mini": (4, 256, 4, 1024, 30522),
        "small": (4, 512, 8, 2048, 30522),
        "medium": (8, 512, 8, 2048, 30522),
        "base": (12, 768, 12, 3072, 30522),
        "large": (24, 1024, 16, 4096, 30522),
        "base-cased": (12, 768, 12, 3072, 28996),
        "large-cased": (24, 1024, 16, 4096, 28996),
        "base-chinese": (12, 768, 12, 3072, 21128),
        "base-multilingual-cased": (12, 768, 12, 3072, 119547),
        "base-multilingual-uncased": (12, 768, 12, 3072, 105879),
    }
    assert [name for name, preset in PRESETS.items() if not preset.lowercase] == [
        "base-cased",
        "large-cased",
        "base-multilingual-cased",
    ]
    assert preset_config("base") == BertConfig()
    assert preset_config("base", vocab_size=100) == BertConfig(vocab_size=100)
    assert all(preset_config(name).head_size == 64 for name in PRESETS)
    with pytest.raises(ConfigError, match="no preset is called 'huge'; there are tiny, mini"):
        preset_config("huge")


def test_the_grid_of_24_small_models():
    grid = [name for name in PRESETS if name.startswith("L-")]
    assert len(grid) == 24
    assert preset_config("L-2_H-128") == preset_config("tiny")
    assert preset_config("L-12_H-768") == preset_config("base")
    assert preset_config("L-10_H-256") == BertConfig(
        num_hidden_layers=10, hidden_size=256, num_attention_heads=4, intermediate_size=1024
    )


def test_comes_back_through_json():
    config = BertConfig(hidden_size=8, num_attention_heads=2, hidden_act="gelu_new", hidden_dropout_prob=0)
    again = BertConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert isinstance(again.hidden_dropout_prob, float)
    assert config.replace(hidden_size=16).head_size == 8


def test_reads_what_hugging_face_writes():
    """google-bert/bert-base-uncased's config.json, and keys of later versions."""
    values = {
        "architectures": ["BertForMaskedLM"],
        "attention_probs_dropout_prob": 0.1,
        "gradient_checkpointing": False,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 768,
        "initializer_range": 0.02,
        "intermediate_size": 3072,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "model_type": "bert",
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "transformers_version": "4.6.0.dev0",
        "type_vocab_size": 2,
        "use_cache": True,
        "vocab_size": 30522,
        "is_decoder": False,
        "id2label": {"0": "no"},
        "torch_dtype": "float32",
    }
    assert BertConfig.from_dict(values) == BertConfig()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hiden_size": 8}, "unknown config key 'hiden_size'; remove it, or spell it as one of: .*hidden_size"),
        ({"model_type": "roberta"}, "model_type must be \"bert\". Received: model_type='roberta'"),
        ({"position_embedding_type": "relative_key"}, "Received: position_embedding_type='relative_key'"),
        ({"is_decoder": True}, "Received: is_decoder=True"),
        ({"hidden_size": 10, "num_attention_heads": 3}, "Received: hidden_size=10, num_attention_heads=3"),
        ({"hidden_act": "swish"}, "hidden_act must be one of gelu, .* Received: hidden_act='swish'"),
        ({"hidden_dropout_prob": 1.0}, r"in \[0, 1\). Received: hidden_dropout_prob=1.0"),
        ({"attention_probs_dropout_prob": float("nan")}, "Received: attention_probs_dropout_prob=nan"),
        ({"hidden_dropout_prob": "0.1"}, "must be a number. Received: hidden_dropout_prob='0.1'"),
        ({"num_hidden_layers": 0}, "at least 1. Received: num_hidden_layers=0"),
        ({"num_hidden_layers": True}, "whole number. Received: num_hidden_layers=True"),
        ({"vocab_size": 10.0}, "whole number. Received: vocab_size=10.0"),
        ({"layer_norm_eps": 0}, "above 0. Received: layer_norm_eps=0.0"),
        ({"pad_token_id": -1}, "Received: pad_token_id=-1"),
        ({"pad_token_id": 5, "vocab_size": 5}, "below vocab_size=5. Received: pad_token_id=5"),
        ([], "expected a JSON object of settings. Received: list"),
    ],
)
def test_refuses_what_cannot_be(values, message):
    with pytest.raises(ConfigError, match=message):
        BertConfig.from_dict(values)


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BertConfig().hidden_size = 1

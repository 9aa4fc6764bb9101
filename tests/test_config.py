import dataclasses
import json

import pytest

from kbert.config import PRESETS, BertConfig, foreign_settings, preset_config, unknown_keys
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
        (
            {"hiden_size": 8},
            "unknown config key 'hiden_size'; spell it as hidden_size, which otherwise has its default",
        ),
        ({"hidden_size": 384}, r"num_attention_heads must be given .* Received: hidden_size=384 alone$"),
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


@pytest.mark.parametrize(
    "values",
    [
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
        {"auto_map": {"AutoModel": "modeling.Model"}, "emb_size": 768, "_commit_hash": "0"},
        {"embedding_size": 768, "num_hidden_groups": 12, "num_key_value_heads": 12, "head_dim": 64},
        {"hidden_activation": "gelu", "layer_norm_epsilon": 1e-12},
        {"use_flash_attn": True, "unpad_inputs": True, "fused_bias_fc": True, "max_seq_length": 128},
        {"pre_layer_norm": False, "prenorm": None, "share_layers": False, "relative_attention": False},
        {"num_experts": 0, "rope_theta": None, "rotary_emb_fraction": 0.0, "attention_type": "original_full"},
        {"layer_norm_type": "LayerNorm", "use_bias": True, "position_biased_input": True, "pos_att_type": "none"},
        {"adapters": {"adapters": {}, "config_map": {}}, "quantization_config": {}},
        {"classifier_dropout_prob": 0.3, "hidden_dim": 256, "pooler_hidden_act": "relu"},
    ],
)
def test_keys_that_change_no_computation_are_carried_along(values):
    given = {"architectures": ["BertModel"], "id2label": {"0": "no"}, "use_cache": True, "hidden_size": 768}
    given |= {"num_attention_heads": 12, "temperature": 1.0}
    assert BertConfig.from_dict(given | values) == BertConfig()
    known = {"quantization_config", "use_cache"}
    # The activation of a cross-encoder is known: a ranking model has use for it.
    assert set(unknown_keys(given | values)) == set(values) - known - {"sbert_ce_default_activation_function"}
    assert foreign_settings(given | values) == {"id2label": {"0": "no"}, "use_cache": True} | {
        key: value for key, value in values.items() if key not in known
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pre_layer_norm", True),
        ("norm_first", True),
        ("encoder_normalize_before", 1),
        ("do_layer_norm_before", True),
        ("layer_norm_type", "rms_norm"),
        ("qk_norm", True),
        ("embedding_size", 128),
        ("emb_size", 767),
        ("num_hidden_groups", 1),
        ("share_layers", True),
        ("cross_layer_parameter_sharing", "all"),
        ("num_experts", 8),
        ("moe_layers", [1, 3]),
        ("use_rope", True),
        ("rope_scaling", {"type": "linear"}),
        ("rotary_emb_fraction", 0.5),
        ("alibi_starting_size", 512),
        ("relative_attention", True),
        ("max_relative_positions", 64),
        ("position_biased_input", False),
        ("sliding_window", 128),
        ("attention_type", "block_sparse"),
        ("num_kv_heads", 4),
        ("head_dim", 32),
        ("use_bias", False),
        ("causal", True),
        ("layer_norm_epsilon", 1e-5),
        ("hidden_activation", "silu"),
        ("num_feedforward_networks", 4),
        ("quantization_config", {"bits": 4}),
        ("adapters", {"adapters": {"a": "pfeiffer"}}),
    ],
)
def test_keys_that_change_the_computation_are_refused(key, value):
    with pytest.raises(ConfigError, match=rf"{key}.* Received: {key}="):
        BertConfig.from_dict({key: value})


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("num_hidden_layer", "num_hidden_layers"),
        ("hidden_sizes", "hidden_size"),
        ("hiddenSize", "hidden_size"),
        ("num_attention_head", "num_attention_heads"),
        ("layer_norm_ep", "layer_norm_eps"),
    ],
)
def test_misspelled_keys_are_told(key, meant):
    with pytest.raises(ConfigError, match=rf"unknown config key '{key}'; spell it as {meant}, "):
        BertConfig.from_dict({key: 4})
    with pytest.raises(ConfigError, match=rf"spell it as {meant}, "):  # and the two contradict each other
        BertConfig.from_dict({key: 4, meant: 2 if "layer" in meant else 1, "hidden_size": 8, "num_attention_heads": 1})


def test_no_row_for_padding():
    assert BertConfig.from_dict({"pad_token_id": None}) == BertConfig()


@pytest.mark.parametrize("value", [True, "true", "Yes", 1, None])
def test_biases_that_are_there(value):
    assert BertConfig.from_dict({"use_bias": value, "mlp_bias": value}) == BertConfig()


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BertConfig().hidden_size = 1

"""The keys of a config.json that are not fields of BertConfig, and which of them change what a model computes.

Many programs write their own keys into config.json. Most of these keys describe how a model was trained or is used;
kbert keeps them. Other keys mean that the model is not a BERT. If their value changes the computation, the model is
refused, since its answers would be silently wrong. A misspelled key is refused too, since the default would silently
replace its value, as it does in Transformers.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from kbert.errors import ConfigError, shown

# The keys that Hugging Face Transformers writes. They affect how a library uses the model, not what it computes.
_FOREIGN_KEYS = frozenset(
    """_name_or_path architectures attn_implementation _attn_implementation_autoset bos_token_id chunk_size_feed_forward
    cross_attention_hidden_size decoder_start_token_id directionality dtype eos_token_id
    finetuning_task gradient_checkpointing id2label label2id model_type _num_labels num_labels output_attentions
    output_hidden_states output_past pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers
    pooler_size_per_head pooler_type prefix problem_type pruned_heads return_dict
    sbert_ce_default_activation_function sentence_transformers sep_token_id
    task_specific_params tie_encoder_decoder tie_word_embeddings tf_legacy_loss tokenizer_class torch_dtype torchscript
    transformers_version use_bfloat16 use_cache vocab_file xla_device""".split()
)
# Transformers 4 writes the settings of text generation into every configuration.
_GENERATION_KEYS = frozenset(
    """bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size
    exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id length_penalty max_length min_length
    no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_scores remove_invalid_values
    repetition_penalty return_dict_in_generate suppress_tokens temperature top_k top_p typical_p""".split()
)
# The foreign keys that describe where a model was stored, and not the model itself. They are not kept.
_TRANSIENT_KEYS = frozenset(
    "_name_or_path architectures attn_implementation _attn_implementation_autoset dtype model_type torch_dtype "
    "transformers_version vocab_file".split()
)

# Other names of the fields of BertConfig in other architectures and programs. Their values must agree with the field.
_SYNONYMS = {
    name: field
    for field, names in {
        "hidden_size": "embedding_size emb_size emb_dim embedding_dim embed_dim embedding_hidden_size "
        "word_embed_proj_dim true_hidden_size d_model n_embd",
        "num_hidden_layers": "num_hidden_groups n_layer n_layers encoder_layers",
        "num_attention_heads": "num_heads n_head n_heads encoder_attention_heads num_key_value_heads num_kv_heads "
        "n_head_kv",
        "head_size": "head_dim attention_head_size d_kv d_head kv_channels",
        "intermediate_size": "d_ff n_inner ffn_dim encoder_ffn_dim ffn_hidden_size",
        "hidden_act": "hidden_activation activation_function feed_forward_act",
        "layer_norm_eps": "layer_norm_epsilon layernorm_epsilon layer_norm_variance_epsilon norm_eps norm_epsilon "
        "rms_norm_eps",
    }.items()
    for name in names.split()
}
# Keys that do not change the answers of a trained model. Only keys that resemble fields of BertConfig are listed, since
# they would otherwise be reported as misspelled.
_HARMLESS = frozenset("hidden_dropout attention_dropout classifier_dropout_prob pad_token pad_token_type_id".split())

_OFF: tuple[Any, ...] = (None, False, 0, "", "none", "None", "no", "false", [], {})
"""The values which mean that something is not used."""
_ON: tuple[Any, ...] = (None, True, 1, "true", "yes")

# The patterns of keys that change what a model computes, and for each pattern the values that change nothing.
_DANGEROUS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    (r"position_embedding_type", (None, "absolute")),
    (r"is_decoder|add_cross_attention|is_encoder_decoder|quantization_config", _OFF),
    # The position and the kind of normalization.
    (r"(use_)?pre_?(layer_?)?norm(alization)?|norm_first|pre_ln|(\w+_)?normalize_before", _OFF),
    (r"do_layer_norm_before|layer_norm_first|(apply_residual|use_residual)\w*_post\w*", _OFF),
    (
        r"(layer_?)?norm(alization)?_(type|style|class|layer|fn|kind)",
        (None, "", *"layer_norm layernorm ln post".split()),
    ),
    (r"(layer_?)?norm(alization)?_(position|placement)", (None, "", "post", "post_ln", "post_norm")),
    (
        r"(use_)?(rms|scale|deep|sandwich|batch)_?norm|embed(ding)?s?_norm_(first|only)|(use_)?final_(layer_?)?norm",
        _OFF,
    ),
    (r"qk_(layer_?)?norm(alization)?|(use_)?qk_norm|query_key_norm\w*|use_qk\w*", _OFF),
    # Weights that are shared between layers.
    (r"share_?d?_\w*(layers?|param\w*|weights?|attention|attn|ffn)|cross_layer_\w*|layer_sharing|tie_layers?", _OFF),
    (r"inner_group_num|num_repeats|num_loops|num_recurrent_steps", (*_OFF, 1)),
    # Mixtures of experts.
    (r"(\w*_)?(moe|experts?|router)(_\w*)?|mixture_of_\w*", _OFF),
    # Positions.
    (r"(\w*_)?(rope|rotary|rotary_emb\w*|alibi|xpos)(_\w*)?", _OFF),
    (r"(\w*_)?relative_?(\w*_)?(pos\w*|att\w*|bias|buckets|distance|key)\w*|relative_\w*|rel_pos\w*", (*_OFF, -1)),
    (r"max_relative_positions?|pos_att_type|position_buckets|disentangled_\w*", (*_OFF, -1)),
    (r"position_biased_input|position_bias", _ON),
    (r"(use_)?(sinusoidal|sin)_(pos\w*|embeddings?)|sinusoidal_pos_embds", _OFF),
    (r"(use_|with_)?(absolute_)?(position|token_type|segment)_embeddings?", (*_ON, "absolute", "learned")),
    (r"position_embeddings?_(style|kind|method|class)|pos_emb(edding)?_type", (None, "", "absolute", "learned")),
    # Attention.
    (r"attention_window|(use_)?sliding_window|window_size|local_attention\w*|global_att\w*|sparse_att\w*", _OFF),
    (r"att(entio)?n_types?|attention_(kind|class|mechanism)", (None, "", *"full original_full softmax dense".split())),
    (r"(use_)?(causal|unidirectional)(_\w*)?|is_causal|bidirectional_mask", _OFF),
    (r"(\w*_)?soft_?cap(ping)?|att(entio)?n_(temperature|logit\w*)|logits?_scal\w*|residual_(scale|multiplier)", _OFF),
    (r"multi_query\w*|multiquery\w*|talking_heads|linear_attention\w*|performer\w*|linformer\w*", _OFF),
    # Feed-forward layers, biases, embeddings.
    (
        r"(use_)?(\w*_)?(ge|swi|re)?glu|(hidden_|mlp_|ffn_)?gated\w*|ffn_type|mlp_type|feed_forward_type",
        (*_OFF, "original"),
    ),
    (r"num_feedforward_networks", (None, 0, 1)),
    (r"use_bottleneck\w*|bottleneck_\w*|key_query_shared_bottleneck|trigram_input", _OFF),
    (r"(use_|add_)?((attention|attn|mlp|ffn|qkv|linear|dense|layer_?norm|norm)_)?(proj_)?bias|use_biases", _ON),
    (r"no_bias|bias_free|without_bias", _OFF),
    (r"scale_emb\w*|(use_)?emb(edding)?s?_scal\w*|embedding_multiplier|input_scale", (*_OFF, 1, 1.0)),
    (r"conv_kernel_size|head_ratio|num_conv\w*|(use_)?conv(olution)?_layers?", _OFF),
    (
        r"adapters?|adapter_size|adapter_layers?|lora_(r|rank|alpha)|prefix_projection|pre_seq_len",
        (*_OFF, {"adapters": {}}),
    ),
    (r"weight_bits|(load|loaded)_in_\d+bit|quant_(mode|bits|method)|quantize|bitnet\w*", _OFF),
)
_PATTERNS = tuple((re.compile(pattern), harmless) for pattern, harmless in _DANGEROUS)


def unknown_keys(values: Mapping[str, Any], fields: Collection[str]) -> list[str]:
    """Returns the keys that neither kbert nor the BERT of Transformers has, sorted.

    Args:
        values: The contents of a config.json.
        fields: The names of the fields of BertConfig.
    """
    known = {*fields, *_FOREIGN_KEYS, *_GENERATION_KEYS, "position_embedding_type", "is_decoder", "add_cross_attention"}
    return sorted(str(key) for key in values if key not in known | {"is_encoder_decoder", "quantization_config"})


def foreign_settings(values: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Returns the entries that are kept in a model folder: labels, problem type, and keys that are unknown to kbert.

    Args:
        values: The contents of a config.json.
        fields: The names of the fields of BertConfig.
    """
    kept = {*(_FOREIGN_KEYS - _TRANSIENT_KEYS), *unknown_keys(values, fields)}
    return {key: value for key, value in values.items() if key in kept}


def check_keys(values: Mapping[str, Any], sizes: Mapping[str, Any], fields: Collection[str]) -> None:
    """Checks that no key makes the model something other than a BERT of these sizes.

    Args:
        values: The contents of a config.json.
        sizes: The values of the fields of BertConfig, by name, and "head_size".
        fields: The names of the fields of BertConfig.

    Raises:
        ConfigError: A key means that the model is not a BERT, contradicts a size, or seems to be misspelled.
    """
    for key, value in values.items():
        if not isinstance(key, str) or key in fields:
            continue
        for pattern, harmless in _PATTERNS:
            if pattern.fullmatch(key.lower()) and not _is_one_of(value, harmless):
                raise ConfigError(
                    f"{key:.100} changes what a BERT computes: it must be {json.dumps(_usual(harmless))} or absent. "
                    f"Received: {key:.100}={shown(value)}"
                )
    for key in unknown_keys(values, fields):
        value = values[key]
        field = _SYNONYMS.get(key.lower())
        if field is not None:
            if value is not None and (isinstance(value, bool) or value != sizes[field]):
                raise ConfigError(
                    f"{key} must be the same as {field}={shown(sizes[field])}, as in a BERT. "
                    f"Received: {key}={shown(value)}"
                )
            continue
        if key.lower() in _HARMLESS or any(pattern.fullmatch(key.lower()) for pattern, _ in _PATTERNS):
            continue
        near = difflib.get_close_matches(key.lower()[:60], fields, n=1, cutoff=0.85)
        if near and values.get(near[0]) != value:
            raise ConfigError(
                f"unknown config key {shown(key)}; spell it as {near[0]}, which otherwise has its default, or remove it"
            )


def _usual(harmless: tuple[Any, ...]) -> Any:
    """Returns the value that a message names: the value that a BERT has."""
    return next(value for value in harmless if value is not None and value != "")


def _is_one_of(value: Any, harmless: tuple[Any, ...]) -> bool:
    if isinstance(value, dict) and value and all(_is_one_of(each, _OFF) for each in value.values()):
        value = {}  # such as {"adapters": {}}
    if isinstance(value, str):
        value = value.strip().lower()
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in harmless) or (
        isinstance(value, (int, float)) and value == 0 and 0 in harmless
    )

"""Google's checkpoints (github.com/google-research/bert): a folder with

    bert_config.json    the shape of the model
    vocab.txt           the vocabulary
    bert_model.ckpt.*   the weights, by their names in the TF1 graph

A training run writes the same files as model.ckpt-N, with the optimizer's slots and the head of run_classifier.py or
run_squad.py in addition.

bert_config.json says "gelu" without specifying its form: the released code computed the erf form until February 2019
and has computed the tanh form since then. Hugging Face publishes Google's models with the erf form, and kbert reads
them with the erf form by default.
"""  # noqa: D415 (a folder listing)

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.config import BertConfig, unknown_keys
from kbert.conversion import heads, sidecar
from kbert.conversion.checkpoint_files import (
    LOOKS_LIKE,
    OBJECT_GRAPH,
    CheckpointFiles,
    find_checkpoint,
    write_checkpoint,
)
from kbert.conversion.format import Format
from kbert.conversion.named_tokenizer import check_size, named_tokenizer
from kbert.conversion.settings import ConversionSettings, gelu_form, with_gelu
from kbert.conversion.tensor_tables import SAME, Entry, TensorTable, check_depth, read_entries
from kbert.errors import BundleError, ConfigError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.parts import CLASSIFIER, CLASSIFIER_TENSORS, ENCODER_PREFIX, MLM, NSP, POOLER, QA, find_heads
from kbert.text.tokenizer_files.names import VOCABULARY_FILE
from kbert.text.vocabulary import Vocabulary

CONFIG_FILE = "bert_config.json"
CHECKPOINT = "bert_model.ckpt"
EPSILON = 1e-12
"""The LayerNorm epsilon, which is fixed in the original code."""

_BLOCK = "bert/encoder/layer_{layer}"
_TABLE = TensorTable(
    {
        "token_table": "bert/embeddings/word_embeddings",
        "position_table": "bert/embeddings/position_embeddings",
        "type_table": "bert/embeddings/token_type_embeddings",
        "embedding_norm": "bert/embeddings/LayerNorm",
        "query": f"{_BLOCK}/attention/self/query",
        "key": f"{_BLOCK}/attention/self/key",
        "value": f"{_BLOCK}/attention/self/value",
        "attention_output": f"{_BLOCK}/attention/output/dense",
        "attention_norm": f"{_BLOCK}/attention/output/LayerNorm",
        "intermediate": f"{_BLOCK}/intermediate/dense",
        "output": f"{_BLOCK}/output/dense",
        "output_norm": f"{_BLOCK}/output/LayerNorm",
        "pooler": "bert/pooler/dense",
        "mlm_dense": "cls/predictions/transform/dense",
        "mlm_norm": "cls/predictions/transform/LayerNorm",
        "mlm_bias": "cls/predictions/output_bias",
        "nsp": ("cls/seq_relationship/output_weights", "cls/seq_relationship/output_bias"),
        "span": ("cls/squad/output_weights", "cls/squad/output_bias"),
        "classifier": ("output_weights", "output_bias"),
    },
    dense=("/kernel", "/bias"),
    norm=("/gamma", "/beta"),
    layouts={"nsp": SAME, "span": SAME, "classifier": SAME},
)
# Tensors that training adds: optimizer slots, step counters and loss scales.
_OF_TRAINING = re.compile(
    r"(^|/)(adam_[mv]|lamb_[mv]|Adam(_\d+)?|Momentum|beta[12]_power|global_step|loss_scale|good_steps)$"
)
_CONFIG_KEYS = (
    "attention_probs_dropout_prob",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "type_vocab_size",
    "vocab_size",
)


class GoogleFormat(Format):
    """The format of name-based (TF1) checkpoints, which the original code reads and writes."""

    name = "google"
    looks_like = LOOKS_LIKE
    takes = ("config", "vocab", "lowercase")

    def find(self, path: Path) -> Path | None:
        """Returns the prefix of a checkpoint without an object graph; see `find_checkpoint`."""
        prefix = find_checkpoint(path)
        return None if prefix is None or OBJECT_GRAPH in CheckpointFiles(prefix).shapes else prefix

    def read(self, place: Path, options: ConversionSettings) -> Bundle:
        """Reads a checkpoint.

        Args:
            place: The prefix of the checkpoint. The other files are in the same folder, unless `options` names them.
            options: See `ConversionSettings`.

        Raises:
            BundleError: Files are missing or damaged, or contradict each other.
            ConfigError: bert_config.json has an unknown key or an invalid value.
            VocabularyError: vocab.txt is invalid.
        """
        folder = place.parent
        config = read_config(folder, options)
        beside = sidecar.read(folder, config, options)
        config = _complete(config, beside, options)
        tokenizer = named_tokenizer(config.vocab_size, options) or sidecar.tokenizer_of(
            read_vocabulary(folder, config.vocab_size, options), beside, options
        )
        checkpoint = CheckpointFiles(place)
        check_depth(config, checkpoint.shapes, place)
        tensors = read_entries(_present_entries(config, checkpoint, options), checkpoint.shapes, checkpoint.read, place)
        foreign_config = {} if beside and not options.encoder_only else _unknown_settings(folder, options)
        return heads.assembled(config, tokenizer, tensors, place, options, beside=beside, foreign_config=foreign_config)

    def write(self, bundle: Bundle, folder: Path, options: ConversionSettings) -> None:
        """Writes a checkpoint that the original code can read.

        Raises:
            ConfigError: The original code does not support such a model.
        """
        config = bundle.config
        if config.layer_norm_eps != EPSILON:
            raise ConfigError(
                f"Google's code supports only the LayerNorm epsilon {EPSILON:g}. Received: "
                f"layer_norm_eps={config.layer_norm_eps:g}; set that in the source's config.json if it may change"
            )
        held, missing = heads.with_pooler(bundle, "Google's code", options)
        present = [entry for entry in _TABLE.entries(config, _classes(held)) if entry.name in held]
        tensors = {entry.foreign: entry.to_foreign(held[entry.name]) for entry in present}
        own = {entry.name for entry in present}
        left = {name: tensor for name, tensor in bundle.tensors.items() if name not in own}
        if left:
            options.notes.append(
                f"Google's code has no place for {', '.join(sorted(left))}: kept in {sidecar.TENSORS_FILE}"
            )
        if gelu_form(config) == "erf":
            options.notes.append(
                "the model has the erf form of GELU; Google's code computes the tanh form since 2019-02, while "
                "Hugging Face's converter and kbert read this folder with the erf form"
            )
        write_checkpoint(folder / CHECKPOINT, tensors)
        bundle.tokenizer.vocabulary.save(folder / VOCABULARY_FILE)
        values = {key: value for key, value in config.to_dict().items() if key in _CONFIG_KEYS}
        if gelu_form(config):
            values["hidden_act"] = "gelu"
        sidecar.write(folder, bundle, left, missing)
        files.write_json(folder / CONFIG_FILE, dict(sorted(values.items())))


def read_config(folder: Path, options: ConversionSettings) -> BertConfig:
    """Reads the bert_config.json of a checkpoint's folder, or the one that the options name."""
    path = options.config or folder / CONFIG_FILE
    if not path.is_file():
        raise UsageError(f"expected {CONFIG_FILE} beside the checkpoint. {path} is missing; name it with --config")
    try:
        return BertConfig.from_dict(files.read_json(path, BundleError))
    except ConfigError as problem:
        raise ConfigError(f"{path}: {problem}") from None


def _unknown_settings(folder: Path, options: ConversionSettings) -> dict[str, Any]:
    """Returns the keys of bert_config.json that are not settings of a BERT; the bundle keeps them."""
    values = files.read_json(options.config or folder / CONFIG_FILE, BundleError)
    unknown = unknown_keys(values)
    if unknown:
        names = ", ".join(unknown)[:200]
        options.notes.append(f"{CONFIG_FILE}: these keys are kept, but a BERT does not use them: {names}")
    return {key: values[key] for key in unknown}


def read_vocabulary(folder: Path, size: int, options: ConversionSettings) -> Vocabulary:
    """Reads the vocab.txt of a checkpoint's folder, or the one that the options name, and checks its size."""
    path = options.vocab or folder / VOCABULARY_FILE
    if not path.is_file():
        raise UsageError(f"expected {VOCABULARY_FILE} beside the checkpoint. {path} is missing; name it with --vocab")
    vocabulary = Vocabulary.from_file(path)
    check_size(vocabulary, size, path, options)
    return vocabulary


def _complete(config: BertConfig, beside: sidecar.Sidecar | None, options: ConversionSettings) -> BertConfig:
    """Returns the config with the settings that bert_config.json does not contain, such as the form of GELU."""
    if beside:
        config = config.replace(layer_norm_eps=beside.config.layer_norm_eps, pad_token_id=beside.config.pad_token_id)
        if gelu_form(config) and gelu_form(beside.config):
            config = config.replace(hidden_act=beside.config.hidden_act)
        return with_gelu(config, options.gelu)
    if config.hidden_act == "gelu":
        form = options.gelu or "erf"
        other = "--gelu tanh for what Google's code computes since 2019-02" if form == "erf" else "--gelu erf"
        options.notes.append(f'"gelu" of {CONFIG_FILE} is taken as its {form} form ({other})')
    return with_gelu(config, options.gelu)


def _classes(tensors: Mapping[str, Any]) -> int:
    """Returns the number of classes of the classifier; without a classifier the number is not used."""
    bias = tensors.get(CLASSIFIER_TENSORS[1])
    return 2 if bias is None else len(bias)


def _present_entries(config: BertConfig, checkpoint: CheckpointFiles, options: ConversionSettings) -> list[Entry]:
    """Returns the entries of the encoder, and of each head that has a tensor in the checkpoint."""
    rows = checkpoint.shapes.get(_TABLE.foreign_names("classifier")[1])
    table = _TABLE.entries(config, rows[0] if rows else 0)
    here = {entry.name for entry in table if entry.foreign in checkpoint.shapes}
    kinds = frozenset() if options.encoder_only else find_heads(here)
    known = {entry.foreign for entry in table}
    foreign = sorted(name for name in checkpoint.shapes if name not in known and not _OF_TRAINING.search(name))
    if foreign and not options.encoder_only:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise BundleError(
            f"{checkpoint} holds tensors that are not part of a BERT in Google's code: {foreign[0]}{more}; "
            "--encoder-only ignores them"
        )
    # In Transformers only models that predict tokens have no pooler.
    optional = POOLER if find_heads(here) & {MLM, QA, CLASSIFIER} and NSP not in kinds else ()
    return [
        entry
        for entry in table
        if (entry.name.startswith(ENCODER_PREFIX) and (entry.name not in optional or entry.name in here))
        or any(entry.name.startswith(f"{kind}.") for kind in kinds)
    ]

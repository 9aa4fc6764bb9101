"""Google's checkpoints (github.com/google-research/bert): a folder with

    bert_config.json    the shape of the model
    vocab.txt           the vocabulary
    bert_model.ckpt.*   the weights, by the names of the TF1 graph

A training run's model.ckpt-N is the same, with the slots of its optimizer, and with the head of run_classifier.py or
run_squad.py.

The folder says "gelu" and leaves open which: the released code computed the erf form until February 2019 and the
tanh form since. Hugging Face publishes Google's models with the erf form, and kbert reads them so where nobody says
otherwise.
"""  # noqa: D415 (a folder listing)

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kbert import files
from kbert.config import BertConfig, unknown_keys
from kbert.conversion import heads, sidecar
from kbert.conversion.checkpoint_files import CheckpointFiles, write_checkpoint
from kbert.conversion.options import Options, find_lowercase, gelu_form, with_gelu
from kbert.conversion.tensor_tables import (
    Endings,
    Entry,
    Part,
    Shape,
    bundle_shapes,
    check_depth,
    entries,
    read_entries,
)
from kbert.errors import BundleError, ConfigError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import Vocabulary

CONFIG_FILE = "bert_config.json"
VOCABULARY_FILE = "vocab.txt"
CHECKPOINT = "bert_model.ckpt"
EPSILON = 1e-12
"""Of LayerNorm; the original code has no other."""

_ENDINGS = Endings(dense=("/kernel", "/bias"), norm=("/gamma", "/beta"), linear=("/output_weights", "/output_bias"))
_CLASSIFIER = ("output_weights", "output_bias")
# What training adds: slots of optimizers, counters, scales of losses.
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


def read(prefix: Path, options: Options) -> Bundle:
    """Reads a checkpoint of names.

    Args:
        prefix: Of the checkpoint; the other files are beside it, unless `options` says where.
        options: See `Options`.

    Raises:
        BundleError: Files are missing or damaged, or contradict each other.
        ConfigError: bert_config.json has an unknown key, or a value that cannot be.
        VocabularyError: vocab.txt cannot be used.
    """
    folder = prefix.parent
    beside = sidecar.read(folder)
    config = read_config(folder, options)
    if beside and not beside.fits(config):
        options.notes.append(f"{folder / 'kbert.json'} is of another model; nothing of it was used")
        beside = None
    config = _complete(config, beside, options)
    vocabulary = read_vocabulary(folder, config.vocab_size, options)
    if beside and options.lowercase is None:
        tokenizer = Tokenizer.from_settings(vocabulary.with_blank_end(beside.pieces), beside.tokenizer)
    else:
        tokenizer = Tokenizer(vocabulary, lowercase=find_lowercase(vocabulary, options))

    checkpoint = CheckpointFiles(prefix)
    check_depth(config, checkpoint.shapes, prefix)
    shapes = bundle_shapes(config)
    present = _present_entries(config, checkpoint, shapes, options)
    if beside:
        present = [entry for entry in present if entry.name not in beside.missing]
    tensors = read_entries(present, shapes, checkpoint.shapes, checkpoint.read, prefix)
    kinds = heads.find_heads(tensors)
    if beside and not options.encoder_only:
        if kinds != frozenset(beside.heads):
            heads.architecture(kinds, prefix)
        tensors |= beside.tensors
        return Bundle(config, tokenizer, tensors, beside.architecture, beside.settings, beside.foreign_config)
    foreign_config = _unknown_settings(folder, options)
    if heads.CLASSIFIER in kinds:
        foreign_config |= heads.numbered_labels(len(tensors["classifier.bias"]))
    if not beside:
        tensors = heads.without_zero_pooler(tensors, kinds, options)
    return Bundle(config, tokenizer, tensors, heads.architecture(kinds, prefix), {}, foreign_config)


def write(bundle: Bundle, folder: Path, options: Options) -> None:
    """Writes a bundle as a checkpoint of names that the original code reads.

    Raises:
        ConfigError: The original code cannot compute such a model.
    """
    config = bundle.config
    if config.layer_norm_eps != EPSILON:
        raise ConfigError(
            f"Google's code has the LayerNorm epsilon {EPSILON:g} alone. Received: "
            f"layer_norm_eps={config.layer_norm_eps:g}; set that in the source's config.json if it may change"
        )
    held, missing = heads.with_pooler(bundle, "Google's code", options)
    present = [entry for entry in _entries(config) if entry.name in held]
    tensors = {entry.foreign: entry.to_foreign(held[entry.name]) for entry in present}
    left = {name: tensor for name, tensor in bundle.tensors.items() if name not in {entry.name for entry in present}}
    if left:
        options.notes.append(
            f"Google's code has no place for {', '.join(sorted(left))}: kept in {sidecar.TENSORS_FILE}"
        )
    if gelu_form(config) == "erf":
        options.notes.append(
            "the model has the erf form of GELU; Google's code since 2019-02 computes the tanh form, "
            "Hugging Face's converter and kbert read this folder as erf"
        )
    write_checkpoint(folder / CHECKPOINT, tensors)
    bundle.tokenizer.vocabulary.save(folder / VOCABULARY_FILE)
    values = {key: value for key, value in config.to_dict().items() if key in _CONFIG_KEYS}
    if gelu_form(config):
        values["hidden_act"] = "gelu"
    sidecar.write(folder, bundle, left, missing)
    files.write_json(folder / CONFIG_FILE, dict(sorted(values.items())))


def read_config(folder: Path, options: Options) -> BertConfig:
    """Reads the bert_config.json of a checkpoint's folder, or the one that the options name."""
    path = options.config or folder / CONFIG_FILE
    if not path.is_file():
        raise UsageError(f"expected {CONFIG_FILE} beside the checkpoint. {path} is missing; name it with --config")
    try:
        return BertConfig.from_dict(files.read_json(path, BundleError))
    except ConfigError as problem:
        raise ConfigError(f"{path}: {problem}") from None


def _unknown_settings(folder: Path, options: Options) -> dict[str, Any]:
    """The keys of bert_config.json that no BERT has; they are kept."""
    values = files.read_json(options.config or folder / CONFIG_FILE, BundleError)
    unknown = unknown_keys(values)
    if unknown:
        names = ", ".join(unknown)[:200]
        options.notes.append(f"{CONFIG_FILE}: these keys are kept, but a BERT does not use them: {names}")
    return {key: values[key] for key in unknown}


def read_vocabulary(folder: Path, size: int, options: Options) -> Vocabulary:
    """Reads the vocab.txt of a checkpoint's folder, or the one that the options name; checks its size."""
    path = options.vocab or folder / VOCABULARY_FILE
    if not path.is_file():
        raise UsageError(f"expected {VOCABULARY_FILE} beside the checkpoint. {path} is missing; name it with --vocab")
    vocabulary = Vocabulary.from_file(path)
    if len(vocabulary) > size:
        raise BundleError(f"{path}: expected at most the {size} tokens that the model has. Received: {len(vocabulary)}")
    if len(vocabulary) < size:
        options.notes.append(f"{path} has {len(vocabulary)} tokens, the model {size}: the last are never used")
    return vocabulary


def _complete(config: BertConfig, beside: sidecar.Sidecar | None, options: Options) -> BertConfig:
    """Settles what bert_config.json leaves open."""
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


def _entries(config: BertConfig) -> list[Entry]:
    """Every tensor that a checkpoint of Google's code may hold."""
    parts = [
        Part("bert.embeddings.word_embeddings.weight", "bert/embeddings/word_embeddings", "table"),
        Part("bert.embeddings.position_embeddings.weight", "bert/embeddings/position_embeddings", "table"),
        Part("bert.embeddings.token_type_embeddings.weight", "bert/embeddings/token_type_embeddings", "table"),
        Part("bert.embeddings.LayerNorm", "bert/embeddings/LayerNorm", "norm"),
    ]
    for index in range(config.num_hidden_layers):
        ours, theirs = f"bert.encoder.layer.{index}", f"bert/encoder/layer_{index}"
        for name, kind in (
            ("attention/self/query", "dense"),
            ("attention/self/key", "dense"),
            ("attention/self/value", "dense"),
            ("attention/output/dense", "dense"),
            ("attention/output/LayerNorm", "norm"),
            ("intermediate/dense", "dense"),
            ("output/dense", "dense"),
            ("output/LayerNorm", "norm"),
        ):
            parts.append(Part(f"{ours}.{name.replace('/', '.')}", f"{theirs}/{name}", kind))
    parts += [
        Part("bert.pooler.dense", "bert/pooler/dense", "dense"),
        Part("cls.predictions.transform.dense", "cls/predictions/transform/dense", "dense"),
        Part("cls.predictions.transform.LayerNorm", "cls/predictions/transform/LayerNorm", "norm"),
        Part("cls.predictions.bias", "cls/predictions/output_bias", "table"),
        Part("cls.seq_relationship", "cls/seq_relationship", "linear"),
        Part("qa_outputs", "cls/squad", "linear"),
        Part("classifier.weight", _CLASSIFIER[0], "table"),
        Part("classifier.bias", _CLASSIFIER[1], "table"),
    ]
    return entries(parts, _ENDINGS, config.num_attention_heads)


def _present_entries(
    config: BertConfig, checkpoint: CheckpointFiles, shapes: dict[str, Shape], options: Options
) -> list[Entry]:
    """The encoder, and the heads of which the checkpoint has a tensor; sets the shapes of a classifier."""
    table = _entries(config)
    here = {entry.name for entry in table if entry.foreign in checkpoint.shapes}
    kinds = frozenset() if options.encoder_only else heads.find_heads(here)
    if heads.CLASSIFIER in kinds:
        classes = (checkpoint.shapes.get(_CLASSIFIER[1]) or [0])[0]
        shapes["classifier.weight"], shapes["classifier.bias"] = (classes, config.hidden_size), (classes,)
    known = {entry.foreign for entry in table}
    foreign = sorted(name for name in checkpoint.shapes if name not in known and not _OF_TRAINING.search(name))
    if foreign and not options.encoder_only:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise BundleError(
            f"{checkpoint} holds tensors that no BERT of Google's code has: {foreign[0]}{more}; "
            "--encoder-only leaves them behind"
        )
    # Without a pooler there is no class of Transformers but these.
    optional = heads.POOLER if heads.find_heads(here) & {heads.MLM, heads.QA} and heads.NSP not in kinds else ()
    return [
        entry
        for entry in table
        if (entry.name.startswith("bert.") and (entry.name not in optional or entry.name in here))
        or any(entry.name.startswith(f"{kind}.") for kind in kinds)
    ]

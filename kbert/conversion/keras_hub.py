"""KerasHub's presets: the folders that `keras_hub.models.BertBackbone.save_to_preset` and its tasks write.

    config.json                         the shape of the backbone
    metadata.json                       versions
    model.weights.h5                    its weights; model.weights.json lists shards of large ones
    tokenizer.json, assets/tokenizer/vocabulary.txt
    task.json, task.weights.h5          BertTextClassifier or BertMaskedLM, with its head
    preprocessor.json                   of the task

They are read and written as JSON and HDF5; no object of Keras is made of what a file says, so that nothing in one can
run. KerasHub's BERT has the tanh form of GELU, one rate of dropout and the LayerNorm epsilon 1e-12.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.config import BertConfig
from kbert.conversion import heads, keras_hub_objects, sidecar
from kbert.conversion.hdf5_files import WeightFiles, find_weight_files, write_weights
from kbert.conversion.options import Options, gelu_form, with_gelu
from kbert.conversion.tensor_tables import Endings, Entry, Part, bundle_shapes, check_depth, entries, read_entries
from kbert.errors import BundleError, ConfigError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.weights import DECODER
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import Vocabulary

CONFIG_FILE = "config.json"
TASK_FILE = "task.json"
TOKENIZER_FILE = "tokenizer.json"
PREPROCESSOR_FILE = keras_hub_objects.PREPROCESSOR_FILE
METADATA_FILE = "metadata.json"
VOCABULARY_FILE = "assets/tokenizer/vocabulary.txt"
WEIGHTS_FILE, WEIGHTS_INDEX = "model.weights.h5", "model.weights.json"
TASK_WEIGHTS_FILE = "task.weights.h5"
EPSILON = 1e-12

_ENDINGS = Endings(dense=("/vars/0", "/vars/1"), norm=("/vars/0", "/vars/1"))
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")


def is_preset(folder: Path) -> bool:
    """Whether a folder's config.json is one of KerasHub's."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        return False
    values = files.read_json(path, BundleError)
    return isinstance(values, dict) and "class_name" in values and isinstance(values.get("config"), dict)


def read(folder: Path, options: Options) -> Bundle:
    """Reads a preset.

    Raises:
        BundleError: Files are missing or damaged, contradict each other, or are of another model than BERT.
        ConfigError: A size cannot be.
        VocabularyError: The vocabulary cannot be used.
    """
    beside = sidecar.read(folder)
    config = _read_config(folder)
    if beside and not beside.fits(config):
        options.notes.append(f"{folder / 'kbert.json'} is of another model; nothing of it was used")
        beside = None
    tokenizer = _read_tokenizer(folder, config, options)
    if beside and options.lowercase is None:
        tokenizer = Tokenizer.from_settings(tokenizer.vocabulary.with_blank_end(beside.pieces), beside.tokenizer)
    if beside:
        own = beside.config
        config = config.replace(
            pad_token_id=own.pad_token_id,
            initializer_range=own.initializer_range,
            attention_probs_dropout_prob=own.attention_probs_dropout_prob,
            hidden_act=own.hidden_act if gelu_form(own) == "tanh" else config.hidden_act,
        )
    else:
        config = config.replace(pad_token_id=tokenizer.vocabulary.pad_id)

    weights = WeightFiles(find_weight_files(folder, WEIGHTS_FILE, WEIGHTS_INDEX))
    check_depth(config, weights.shapes, weights)
    shapes = bundle_shapes(config)
    missing = beside.missing if beside else ()
    table = [entry for entry in backbone_entries(config) if entry.name not in missing]
    known = {entry.foreign for entry in backbone_entries(config)}
    if extra := sorted(name for name in weights.shapes if name not in known and "/seed_generator/" not in name):
        raise BundleError(f"{weights} holds tensors that KerasHub's BertBackbone of this shape has not: {extra[0]}")
    tensors = read_entries(table, shapes, weights.shapes, weights.read, weights)
    architecture, settings, foreign_config = "BertModel", {}, {}
    if not options.encoder_only:
        tensors |= _read_task(folder, config, shapes, options)
        kinds = heads.find_heads(tensors)
        architecture = heads.architecture(kinds, folder)
        if not beside:
            tensors = heads.without_zero_pooler(tensors, kinds, options)
        if heads.CLASSIFIER in kinds:
            foreign_config = heads.numbered_labels(len(tensors["classifier.bias"]))
        if beside:
            tensors |= beside.tensors
            architecture, settings, foreign_config = beside.architecture, beside.settings, beside.foreign_config
    return Bundle(with_gelu(config, options.gelu), tokenizer, tensors, architecture, settings, foreign_config)


def write(bundle: Bundle, folder: Path, options: Options) -> None:
    """Writes a bundle as a preset: of a task where KerasHub has the head, else of the backbone.

    Raises:
        ConfigError: KerasHub's BERT cannot compute such a model.
    """
    config = bundle.config
    check_config(config, "--gelu tanh changes the model to this form")
    if config.hidden_dropout_prob != config.attention_probs_dropout_prob:
        options.notes.append(
            f"KerasHub has one rate of dropout: {config.hidden_dropout_prob:g}, "
            f"not {config.attention_probs_dropout_prob:g} on attention"
        )
    tensors, missing = heads.with_pooler(bundle, "KerasHub's backbone", options)
    task, head = _task_entries(bundle, config)
    backbone = backbone_entries(config)
    own = {entry.name for entry in (*backbone, *head)}
    left = {name: tensor for name, tensor in tensors.items() if name not in own}
    if left:
        options.notes.append(f"KerasHub has no place for {', '.join(sorted(left))}: kept in {sidecar.TENSORS_FILE}")

    _write_backbone(folder, backbone, tensors, config)
    tokenizer = keras_hub_objects.tokenizer(bundle.tokenizer.settings)
    files.write_json(folder / TOKENIZER_FILE, tokenizer)
    bundle.tokenizer.vocabulary.save(folder / VOCABULARY_FILE)
    if task:
        groups = {"logits": "dense"} if task == keras_hub_objects.CLASSIFIER else {"mlm_head": "masked_lm_head"}
        _write_layers(folder / TASK_WEIGHTS_FILE, head, tensors, groups)
        length = bundle.settings.get("sequence_length", config.max_position_embeddings)
        classes = len(tensors["classifier.bias"]) if task == keras_hub_objects.CLASSIFIER else None
        preprocessor = keras_hub_objects.preprocessor(task, tokenizer, length)
        files.write_json(folder / PREPROCESSOR_FILE, preprocessor)
        files.write_json(folder / TASK_FILE, keras_hub_objects.task(task, config, preprocessor, classes))
    sidecar.write(folder, bundle, left, missing)
    files.write_json(folder / CONFIG_FILE, keras_hub_objects.backbone(config))


def check_config(config: BertConfig, way_out: str) -> None:
    """Checks that KerasHub's BERT computes such a model.

    Args:
        config: The shape of the model.
        way_out: How to change the model to the tanh form, for the message.

    Raises:
        ConfigError: KerasHub's BERT computes something else.
    """
    if gelu_form(config) != "tanh":
        now = "the erf form of GELU" if gelu_form(config) == "erf" else config.hidden_act
        hint = f"; {way_out}" if gelu_form(config) else ""
        raise ConfigError(f"KerasHub's BERT has the tanh form of GELU alone. Received: {now}{hint}")
    if config.layer_norm_eps != EPSILON:
        raise ConfigError(
            f"KerasHub's BERT has the LayerNorm epsilon {EPSILON:g} alone. "
            f"Received: layer_norm_eps={config.layer_norm_eps:g}; set that in the source's config.json if it may change"
        )


# === Tables ===


def backbone_entries(config: BertConfig) -> list[Entry]:
    """The tensors of a backbone of this shape."""
    parts = [
        Part("bert.embeddings.word_embeddings.weight", "token_embedding/vars/0", "table"),
        Part("bert.embeddings.position_embeddings.weight", "position_embedding/vars/0", "table"),
        Part("bert.embeddings.token_type_embeddings.weight", "segment_embedding/vars/0", "table"),
        Part("bert.embeddings.LayerNorm", "embeddings_layer_norm", "norm"),
    ]
    for index in range(config.num_hidden_layers):
        ours, theirs = f"bert.encoder.layer.{index}", f"transformer_layer_{index}"
        attention = f"{theirs}/self_attention_layer"
        parts += [
            Part(f"{ours}.attention.self.query", f"{attention}/query_dense", "heads_in"),
            Part(f"{ours}.attention.self.key", f"{attention}/key_dense", "heads_in"),
            Part(f"{ours}.attention.self.value", f"{attention}/value_dense", "heads_in"),
            Part(f"{ours}.attention.output.dense", f"{attention}/output_dense", "heads_out"),
            Part(f"{ours}.attention.output.LayerNorm", f"{theirs}/self_attention_layer_norm", "norm"),
            Part(f"{ours}.intermediate.dense", f"{theirs}/feedforward_intermediate_dense", "dense"),
            Part(f"{ours}.output.dense", f"{theirs}/feedforward_output_dense", "dense"),
            Part(f"{ours}.output.LayerNorm", f"{theirs}/feedforward_layer_norm", "norm"),
        ]
    parts.append(Part("bert.pooler.dense", "pooled_dense", "dense"))
    return entries(parts, _ENDINGS, config.num_attention_heads)


_HEADS = {
    keras_hub_objects.CLASSIFIER: [Part("classifier", "logits", "dense")],
    keras_hub_objects.MASKED_LM: [
        Part("cls.predictions.transform.dense", "mlm_head/intermediate_dense", "dense"),
        Part("cls.predictions.transform.LayerNorm", "mlm_head/intermediate_layer_norm", "norm"),
        Part("cls.predictions.bias", "mlm_head/vars/0", "table"),
    ],
}


def _task_entries(bundle: Bundle, config: BertConfig) -> tuple[str | None, list[Entry]]:
    """The task of KerasHub that has the bundle's head, and the head's tensors."""
    task = None
    if bundle.architecture == "BertForSequenceClassification":
        task = keras_hub_objects.CLASSIFIER
    elif heads.MLM in heads.find_heads(bundle.tensors) and DECODER not in bundle.tensors:
        task = keras_hub_objects.MASKED_LM
    return task, entries(_HEADS[task], _ENDINGS, config.num_attention_heads) if task else []


# === Reading ===


def _read_object(folder: Path, name: str, classes: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Class and settings of an object that Keras wrote as JSON."""
    values = files.read_json(folder / name, BundleError)
    kind = values.get("class_name") if isinstance(values, dict) else None
    if kind not in classes or not isinstance(values.get("config"), dict):
        raise BundleError(f"{folder / name}: expected KerasHub's {' or '.join(classes)}. Received: {kind!r}")
    return kind, values["config"]


def _read_config(folder: Path) -> BertConfig:
    _, values = _read_object(folder, CONFIG_FILE, ("BertBackbone",))
    path = folder / CONFIG_FILE
    lacking = [name for name in (*keras_hub_objects.SIZES, "dropout") if name not in values]
    if lacking:
        raise ConfigError(f"{path}: expected the settings of KerasHub's BertBackbone. Missing: {lacking[0]}")
    known = {*keras_hub_objects.SIZES, "dropout", "name", "trainable", "dtype"}
    if unknown := sorted(set(values) - known):
        raise ConfigError(f"{path}: unknown setting {unknown[0]!r} of BertBackbone; kbert knows none of that name")
    sizes = {ours: values[theirs] for theirs, ours in keras_hub_objects.SIZES.items()}
    try:
        return BertConfig(
            **sizes, **dict.fromkeys(DROPOUTS, values["dropout"]), hidden_act="gelu_new", layer_norm_eps=EPSILON
        )
    except ConfigError as problem:
        raise ConfigError(f"{path}: {problem}") from None


def _read_tokenizer(folder: Path, config: BertConfig, options: Options) -> Tokenizer:
    _, values = _read_object(folder, TOKENIZER_FILE, ("BertTokenizer",))
    path = options.vocab or folder / VOCABULARY_FILE
    vocabulary = Vocabulary.from_file(path)
    if len(vocabulary) > config.vocab_size:
        raise BundleError(
            f"{path}: expected at most the {config.vocab_size} tokens that config.json says. "
            f"Received: {len(vocabulary)}"
        )
    if options.lowercase is not None:
        return Tokenizer(vocabulary, lowercase=options.lowercase)
    lowercase, strips = bool(values.get("lowercase", False)), bool(values.get("strip_accents", False))
    return Tokenizer(vocabulary, lowercase=lowercase, strip_accents=None if strips == lowercase else strips)


def _read_task(
    folder: Path, config: BertConfig, shapes: dict[str, tuple[int, ...]], options: Options
) -> dict[str, np.ndarray]:
    if not (folder / TASK_FILE).is_file():
        return {}
    task, values = _read_object(folder, TASK_FILE, (keras_hub_objects.CLASSIFIER, keras_hub_objects.MASKED_LM))
    if not (folder / TASK_WEIGHTS_FILE).is_file():
        raise BundleError(f"{folder / TASK_WEIGHTS_FILE} is missing; --encoder-only converts the backbone alone")
    weights = WeightFiles([folder / TASK_WEIGHTS_FILE])
    if task == keras_hub_objects.CLASSIFIER:
        classes = values.get("num_classes")
        if not isinstance(classes, int) or isinstance(classes, bool) or classes < 1:
            raise ConfigError(f"{folder / TASK_FILE}: num_classes must be a whole number from 1. Received: {classes!r}")
        if values.get("activation", "linear") != "linear":
            options.notes.append("the classifier's own activation is left out: kbert's models give logits")
        shapes["classifier.weight"], shapes["classifier.bias"] = (classes, config.hidden_size), (classes,)
    return read_entries(
        entries(_HEADS[task], _ENDINGS, config.num_attention_heads), shapes, weights.shapes, weights.read, weights
    )


# === Writing ===


def _write_backbone(folder: Path, table: list[Entry], tensors: Mapping[str, np.ndarray], config: BertConfig) -> None:
    groups = {
        "token_embedding": "reversible_embedding",
        "position_embedding": "position_embedding",
        "segment_embedding": "embedding",
        "embeddings_layer_norm": "layer_normalization",
        "pooled_dense": "dense",
    }
    for index in range(config.num_hidden_layers):
        groups[f"transformer_layer_{index}"] = f"transformer_encoder_{index}" if index else "transformer_encoder"
    _write_layers(folder / WEIGHTS_FILE, table, tensors, groups)
    metadata = {
        "keras_version": importlib.metadata.version("keras"),
        "keras_hub_version": importlib.metadata.version("keras-hub"),
        "parameter_count": sum(tensors[entry.name].size for entry in table),
        "tasks": ["MaskedLM", "TextClassifier"],
    }
    files.write_json(folder / METADATA_FILE, metadata)


def _write_layers(path: Path, table: list[Entry], tensors: Mapping[str, np.ndarray], groups: Mapping[str, str]) -> None:
    """Writes tensors to the groups of their layers; Keras names a group after the layer's class."""
    arrays: dict[str, Any] = {}
    for entry in table:
        layer, *inner = entry.foreign.split("/")
        # Layers inside a layer are its attributes, which begin with an underscore; those inside Keras's own do not.
        inner = [
            f"_{key}" if key.startswith(("self_attention", "feedforward", "intermediate")) else key for key in inner
        ]
        arrays["/".join(["layers", groups[layer], *inner])] = entry.to_foreign(tensors[entry.name])
    if path.name == TASK_WEIGHTS_FILE:
        # A task has an optimizer when it is made; Keras warns of a file without its step and learning rate.
        arrays |= {"optimizer/vars/0": np.int64(0), "optimizer/vars/1": np.float32(5e-5)}
    write_weights(path, arrays, {f"layers/{group}": layer for layer, group in groups.items()})

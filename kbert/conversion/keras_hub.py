"""KerasHub's presets: the folders that `keras_hub.models.BertBackbone.save_to_preset` and its tasks write.

    config.json                         the shape of the backbone
    metadata.json                       the versions of Keras and KerasHub
    model.weights.h5                    the weights of the backbone; model.weights.json lists the shards of large ones
    tokenizer.json                      the settings of the tokenizer
    assets/tokenizer/vocabulary.txt     the vocabulary
    task.json, task.weights.h5          a BertTextClassifier or BertMaskedLM, with its head
    preprocessor.json                   the preprocessor of the task

Presets are read and written as JSON and HDF5. No Keras object is deserialized, so that no code in a file can run.
KerasHub's BERT always has the tanh form of GELU, one dropout rate and the LayerNorm epsilon 1e-12.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.config import BertConfig
from kbert.conversion import heads, keras_hub_objects, sidecar
from kbert.conversion.batches import Batch, Outputs
from kbert.conversion.format import Format
from kbert.conversion.hdf5_files import WeightFiles, find_weight_files, write_weights
from kbert.conversion.named_tokenizer import named_tokenizer
from kbert.conversion.settings import ConversionSettings, gelu_form, with_gelu
from kbert.conversion.tensor_tables import HEADS_IN, HEADS_OUT, Entry, TensorTable, check_depth, read_entries
from kbert.errors import BundleError, ConfigError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.file_names import CONFIG_FILE
from kbert.model_folder.parts import CLASSIFIER_TENSORS, DECODER, MLM, POOLER, find_heads
from kbert.text.settings import BERT
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.names import TOKENIZER_FILE
from kbert.text.vocabulary import Vocabulary

TASK_FILE = "task.json"
PREPROCESSOR_FILE = keras_hub_objects.PREPROCESSOR_FILE
METADATA_FILE = "metadata.json"
VOCABULARY_FILE = "assets/tokenizer/vocabulary.txt"
WEIGHTS_FILE, WEIGHTS_INDEX = "model.weights.h5", "model.weights.json"
TASK_WEIGHTS_FILE = "task.weights.h5"
EPSILON = 1e-12

DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")

_BLOCK = "transformer_layer_{layer}"
_ENDING = ("/vars/0", "/vars/1")
_BACKBONE = TensorTable(
    {
        "token_table": "token_embedding/vars/0",
        "position_table": "position_embedding/vars/0",
        "type_table": "segment_embedding/vars/0",
        "embedding_norm": "embeddings_layer_norm",
        "query": f"{_BLOCK}/self_attention_layer/query_dense",
        "key": f"{_BLOCK}/self_attention_layer/key_dense",
        "value": f"{_BLOCK}/self_attention_layer/value_dense",
        "attention_output": f"{_BLOCK}/self_attention_layer/output_dense",
        "attention_norm": f"{_BLOCK}/self_attention_layer_norm",
        "intermediate": f"{_BLOCK}/feedforward_intermediate_dense",
        "output": f"{_BLOCK}/feedforward_output_dense",
        "output_norm": f"{_BLOCK}/feedforward_layer_norm",
        "pooler": "pooled_dense",
    },
    layouts={"query": HEADS_IN, "key": HEADS_IN, "value": HEADS_IN, "attention_output": HEADS_OUT},
    dense=_ENDING,
    norm=_ENDING,
)
_HEADS = {
    keras_hub_objects.CLASSIFIER: TensorTable({"classifier": "logits"}, dense=_ENDING, norm=_ENDING),
    keras_hub_objects.MASKED_LM: TensorTable(
        {
            "mlm_dense": "mlm_head/intermediate_dense",
            "mlm_norm": "mlm_head/intermediate_layer_norm",
            "mlm_bias": "mlm_head/vars/0",
        },
        dense=_ENDING,
        norm=_ENDING,
    ),
}


class KerasHubFormat(Format):
    """The format of presets of a backbone, a classifier or a masked language model."""

    name = "keras-hub"
    looks_like = "a KerasHub preset (config.json and model.weights.h5)"
    takes = ("vocab", "lowercase")
    # BertMaskedLM has no setting for the activation and the epsilon of its head.
    inexact: Mapping[str, str] = {
        "mlm_logits": "KerasHub's BertMaskedLM computes its head with the erf form of GELU and the epsilon 1e-5, so "
        "its logits"
    }

    def find(self, path: Path) -> Path | None:
        """Returns the path if it is a folder with a config.json of KerasHub."""
        file = path / CONFIG_FILE
        if not file.is_file():
            return None
        values = files.read_json(file, BundleError)
        found = isinstance(values, dict) and "class_name" in values and isinstance(values.get("config"), dict)
        return path if found else None

    def read(self, place: Path, options: ConversionSettings) -> Bundle:
        """Reads a preset.

        Raises:
            BundleError: Files are missing or damaged, contradict each other, or describe a model other than BERT.
            ConfigError: A size is invalid.
            VocabularyError: The vocabulary is invalid.
        """
        config = _read_config(place)
        beside = sidecar.read(place, config, options)
        named = named_tokenizer(config.vocab_size, options)
        tokenizer = named or _read_tokenizer(place, config, options)
        if beside and options.lowercase is None and named is None:
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

        weights = WeightFiles(find_weight_files(place, WEIGHTS_FILE, WEIGHTS_INDEX))
        check_depth(config, weights.shapes, weights)
        backbone = backbone_entries(config)
        known = {entry.foreign for entry in backbone}
        if extra := sorted(name for name in weights.shapes if name not in known and "/seed_generator/" not in name):
            raise BundleError(f"{weights} holds tensors that are not part of a BertBackbone of this shape: {extra[0]}")
        tensors = read_entries(backbone, weights.shapes, weights.read, weights)
        if not options.encoder_only:
            tensors |= _read_task(place, config, options)
        return heads.assembled(with_gelu(config, options.gelu), tokenizer, tensors, place, options, beside=beside)

    def write(self, bundle: Bundle, folder: Path, options: ConversionSettings) -> None:
        """Writes a preset: of a task if KerasHub has the head, otherwise of the backbone.

        Raises:
            ConfigError: KerasHub's BERT does not support such a model.
        """
        config = bundle.config
        check_config(config, "--gelu tanh changes the model to this form")
        if config.hidden_dropout_prob != config.attention_probs_dropout_prob:
            options.notes.append(
                f"KerasHub has only one dropout rate: {config.hidden_dropout_prob:g} is written, and "
                f"{config.attention_probs_dropout_prob:g} for attention is not"
            )
        tensors, missing = heads.with_pooler(bundle, "KerasHub's backbone", options)
        task = _task(bundle)
        classes = len(tensors[CLASSIFIER_TENSORS[1]]) if task == keras_hub_objects.CLASSIFIER else None
        head = _HEADS[task].entries(config, classes or 0) if task else []
        backbone = backbone_entries(config)
        own = {entry.name for entry in (*backbone, *head)}
        left = {name: tensor for name, tensor in tensors.items() if name not in own}
        if left:
            options.notes.append(f"KerasHub has no place for {', '.join(sorted(left))}: kept in {sidecar.TENSORS_FILE}")

        _write_backbone(folder, backbone, tensors, config)
        if bundle.tokenizer.settings.normalization != BERT:
            raise UsageError(
                "expected a model with the tokenizer of BERT, the only one that KerasHub has. Received: a model with "
                "MediaPipe's tokenizer"
            )
        tokenizer = keras_hub_objects.tokenizer(bundle.tokenizer.settings)
        files.write_json(folder / TOKENIZER_FILE, tokenizer)
        bundle.tokenizer.vocabulary.save(folder / VOCABULARY_FILE)
        if task:
            groups = {"mlm_head": "masked_lm_head"} if classes is None else {"logits": "dense"}
            _write_layers(folder / TASK_WEIGHTS_FILE, head, tensors, groups)
            length = bundle.settings.get("sequence_length", config.max_position_embeddings)
            preprocessor = keras_hub_objects.preprocessor(task, tokenizer, length)
            files.write_json(folder / PREPROCESSOR_FILE, preprocessor)
            files.write_json(folder / TASK_FILE, keras_hub_objects.task(task, config, preprocessor, classes))
        sidecar.write(folder, bundle, left, missing)
        files.write_json(folder / CONFIG_FILE, keras_hub_objects.backbone(config))

    def outputs(self, place: Path, bundle: Bundle, batches: Sequence[Batch]) -> list[Outputs]:
        """Returns the outputs of KerasHub's own model with the weight files of a preset.

        KerasHub's objects are made from the sizes of `bundle`, not from the preset's JSON. If the user asked for a form
        of GELU that KerasHub does not have, kbert's model computes the outputs instead.
        """
        if gelu_form(bundle.config) != "tanh":
            return super().outputs(place, bundle, batches)
        import keras_hub

        sizes = {theirs: getattr(bundle.config, ours) for theirs, ours in keras_hub_objects.SIZES.items()}
        backbone = keras_hub.models.BertBackbone(**sizes, dtype="float32")
        found = find_weight_files(place, WEIGHTS_FILE, WEIGHTS_INDEX)
        backbone.load_weights(str(found[0] if len(found) == 1 else place / WEIGHTS_INDEX))
        task = _task(bundle)
        model = backbone
        if task == keras_hub_objects.CLASSIFIER:
            classes = len(bundle.tensors[CLASSIFIER_TENSORS[1]])
            model = keras_hub.models.BertTextClassifier(backbone, num_classes=classes)
        elif task == keras_hub_objects.MASKED_LM:
            model = keras_hub.models.BertMaskedLM(backbone)
        if model is not backbone:
            model.load_task_weights(str(place / TASK_WEIGHTS_FILE))
        pooled = any(np.any(bundle.tensors.get(name, 0)) for name in POOLER)
        results = []
        for batch in batches:
            inputs = {"token_ids": batch.ids, "segment_ids": batch.types, "padding_mask": batch.mask}
            outputs = {name: np.asarray(value) for name, value in backbone(inputs, training=False).items()}
            if not pooled:
                del outputs["pooled_output"]
            if task == keras_hub_objects.CLASSIFIER:
                outputs["logits"] = np.asarray(model(inputs, training=False))
            elif task == keras_hub_objects.MASKED_LM:
                positions = np.tile(np.arange(batch.ids.shape[1], dtype=np.int32), (len(batch.ids), 1))
                outputs["mlm_logits"] = np.asarray(model({**inputs, "mask_positions": positions}, training=False))
            results.append(batch.inside(outputs))
        return results


def check_config(config: BertConfig, way_out: str) -> None:
    """Checks that KerasHub's BERT supports a model with this config.

    Args:
        config: The shape of the model.
        way_out: A hint for the message: how to change the model to the tanh form of GELU.

    Raises:
        ConfigError: KerasHub's BERT does not support the activation or the LayerNorm epsilon.
    """
    if config.bottleneck_size is not None:
        raise ConfigError("KerasHub's BERT has no bottleneck adapters. Received: a model with them")
    if gelu_form(config) != "tanh":
        now = "the erf form of GELU" if gelu_form(config) == "erf" else config.hidden_act
        hint = f"; {way_out}" if gelu_form(config) else ""
        raise ConfigError(f"KerasHub's BERT supports only the tanh form of GELU. Received: {now}{hint}")
    if config.layer_norm_eps != EPSILON:
        raise ConfigError(
            f"KerasHub's BERT supports only the LayerNorm epsilon {EPSILON:g}. "
            f"Received: layer_norm_eps={config.layer_norm_eps:g}; set that in the source's config.json if it may change"
        )


def backbone_entries(config: BertConfig) -> list[Entry]:
    """Returns the table entries of the tensors of a backbone with this config."""
    return _BACKBONE.entries(config)


def _task(bundle: Bundle) -> str | None:
    """Returns the name of the KerasHub task that has the bundle's head, or None if there is no such task."""
    if bundle.architecture == "BertForSequenceClassification":
        return keras_hub_objects.CLASSIFIER
    if MLM in find_heads(bundle.tensors) and DECODER not in bundle.tensors:
        return keras_hub_objects.MASKED_LM
    return None


# === Reading ===


def _read_object(folder: Path, name: str, classes: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """Returns the class name and the settings of an object that Keras wrote as JSON."""
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
        raise ConfigError(
            f"{path}: the setting {unknown[0]!r} of BertBackbone is unknown; kbert cannot read this preset"
        )
    sizes = {ours: values[theirs] for theirs, ours in keras_hub_objects.SIZES.items()}
    try:
        return BertConfig(
            **sizes, **dict.fromkeys(DROPOUTS, values["dropout"]), hidden_act="gelu_new", layer_norm_eps=EPSILON
        )
    except ConfigError as problem:
        raise ConfigError(f"{path}: {problem}") from None


def _read_tokenizer(folder: Path, config: BertConfig, options: ConversionSettings) -> Tokenizer:
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


def _read_task(folder: Path, config: BertConfig, options: ConversionSettings) -> dict[str, np.ndarray]:
    if not (folder / TASK_FILE).is_file():
        return {}
    task, values = _read_object(folder, TASK_FILE, (keras_hub_objects.CLASSIFIER, keras_hub_objects.MASKED_LM))
    if not (folder / TASK_WEIGHTS_FILE).is_file():
        raise BundleError(f"{folder / TASK_WEIGHTS_FILE} is missing; --encoder-only converts the backbone without it")
    weights = WeightFiles([folder / TASK_WEIGHTS_FILE])
    classes = 0
    if task == keras_hub_objects.CLASSIFIER:
        said = values.get("num_classes")
        if not isinstance(said, int) or isinstance(said, bool) or said < 1:
            raise ConfigError(f"{folder / TASK_FILE}: num_classes must be a whole number from 1. Received: {said!r}")
        classes = said
        if values.get("activation", "linear") != "linear":
            options.notes.append("the activation of the classifier is left out, because kbert's models return logits")
    return read_entries(_HEADS[task].entries(config, classes), weights.shapes, weights.read, weights)


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
    """Writes tensors to the groups of their layers.

    Args:
        path: The weight file.
        table: The entries of the tensors to write.
        tensors: The tensors by Transformers' names.
        groups: The name of the group of each layer, which Keras derives from the layer's class.
    """
    arrays: dict[str, Any] = {}
    for entry in table:
        layer, *inner = entry.foreign.split("/")
        # KerasHub stores the layers inside a layer as attributes with a leading underscore. Keras's own layers do not.
        inner = [
            f"_{key}" if key.startswith(("self_attention", "feedforward", "intermediate")) else key for key in inner
        ]
        arrays["/".join(["layers", groups[layer], *inner])] = entry.to_foreign(tensors[entry.name])
    if path.name == TASK_WEIGHTS_FILE:
        # A new task already has an optimizer; Keras warns if the file has no step and learning rate for it.
        arrays |= {"optimizer/vars/0": np.int64(0), "optimizer/vars/1": np.float32(5e-5)}
    write_weights(path, arrays, {f"layers/{group}": layer for layer, group in groups.items()})

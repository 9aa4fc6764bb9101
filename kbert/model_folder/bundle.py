"""The model folder ("bundle"), which Hugging Face Transformers can open without conversion.

    config.json             the shape of the model, with Transformers' keys
    vocab.txt, tokenizer.json, tokenizer_config.json
                            the vocabulary, and the settings of the tokenizer
    model.safetensors       the weights with Transformers' tensor names, in one file or in shards with an index;
                            pytorch_model.bin can be read, but is never written
    kbert.json              kbert's own settings: the kind of the model, the settings of its task, metrics
    README.md               the model card

A model with bottleneck adapters has further tensors. Its config.json has another `model_type` and another architecture,
so that Transformers does not open it without them.

The folder of an adapter has other files, and needs its base model; see kbert.model_folder.adapters.folder. A folder of
sentence-transformers has further files, and may have the files above in a subfolder such as 0_Transformer;
see kbert.model_folder.sentence_transformers.

A bundle does not depend on tasks: it stores the settings of a task without interpreting them.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.config import BertConfig, foreign_settings, unknown_keys
from kbert.errors import BundleError, ConfigError, cut, shown
from kbert.model_folder.adapters.base import base_folder, check_base, merged_tensors
from kbert.model_folder.adapters.bundle_settings import adapted_settings, adapted_tokenizer
from kbert.model_folder.adapters.folder import is_adapter, read_adapter
from kbert.model_folder.architectures import check_encoder, guessed_architecture
from kbert.model_folder.card import with_licenses
from kbert.model_folder.file_names import CARD_FILE, CONFIG_FILE, RUN_FILE, SETTINGS_FILE
from kbert.model_folder.json_file import JsonFile
from kbert.model_folder.parts import ENCODER_PREFIX
from kbert.model_folder.sentence_files import read_modules, transformer_path
from kbert.model_folder.sentence_transformers import CROSS_ENCODER, MODULES_FILE, SentenceModules
from kbert.model_folder.tokenizer import load_model_tokenizer, settings_way_out, tell_unreachable
from kbert.model_folder.weights import Weights, save_weights
from kbert.text.tokenizer import Tokenizer
from kbert.text.tokenizer_files.reading import has_settings
from kbert.text.tokenizer_files.writing import save_tokenizer
from kbert.version import __version__

_LOG = logging.getLogger("kbert")
_MOST_LABELS = 1_000_000
_BOTTLENECK_SUFFIX = "WithBottleneckAdapters"
"""The end of the name of the architecture in config.json, for models that Transformers does not have."""
QUANTIZE_AWARE = "quantize_aware"
"""The key of kbert.json with the dtype, "int8" or "int4", whose values all weights have; see `quantize_aware`."""


@dataclasses.dataclass
class Bundle:
    """The contents of a model folder.

    Args:
        config: The shape of the model.
        tokenizer: The tokenizer of the model.
        tensors: The weights, by the names that they have in Transformers' models with heads (with the prefix "bert."),
            in the dtypes in which they are stored.
        architecture: The class name of the model in Transformers, such as "BertForPreTraining".
        settings: The contents of kbert.json, a JSON object.
        foreign_config: Further keys of config.json, such as `id2label` and `problem_type`.
        modules: The content of the files of sentence-transformers; None if the folder has none.
    """

    config: BertConfig
    tokenizer: Tokenizer
    tensors: dict[str, np.ndarray]
    architecture: str
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    foreign_config: dict[str, Any] = dataclasses.field(default_factory=dict)
    modules: SentenceModules | None = None

    @classmethod
    def load(cls, folder: files.PathLike, *, notices: bool = True, base: files.PathLike | None = None) -> Bundle:
        """Reads a model folder, or the folder of an adapter, which is merged into its base model.

        Args:
            folder: The folder.
            notices: Whether to log the keys of config.json that kbert keeps without using them, and the vocabulary
                entries that normalized text never contains.
            base: The base model of an adapter, if it is not where adapter_config.json says.

        Raises:
            BundleError: The folder is not a bundle, or its files are missing, damaged or contradict each other.
            ConfigError: config.json describes a model that is not a BERT, or a value is invalid.
            VocabularyError: vocab.txt is invalid.
            UsageError: The adapter's base model is missing or another one, or kbert does not support the adapter.
        """
        folder = Path(folder)
        if is_adapter(folder):
            return cls._load_adapter(folder, notices, base)
        if not folder.is_dir():
            raise BundleError(f"expected a model folder. There is none at {folder}")
        if (folder / RUN_FILE).exists() and not (folder / CONFIG_FILE).exists():
            raise BundleError(
                f"expected a model folder. {folder} is an unfinished run; repeat its command with --resume"
            )
        settings_path = folder / SETTINGS_FILE
        whole, folder = folder, folder / transformer_path(folder)
        values = JsonFile.read(folder / CONFIG_FILE).values
        try:
            config = BertConfig.from_dict(values)
        except ConfigError as problem:
            raise ConfigError(f"{folder / CONFIG_FILE}: {problem}") from None
        if notices:
            _tell_unknown_keys(folder / CONFIG_FILE, values)
        modules = read_modules(whole, config.hidden_size)
        tokenizer = load_model_tokenizer(whole, modules)
        if notices and not has_settings(folder):
            tell_unreachable(folder, tokenizer, settings_way_out(folder))
        if len(tokenizer.vocabulary) > config.vocab_size:
            raise BundleError(
                f"{folder}: vocab.txt must have at most the {config.vocab_size} tokens that config.json says. "
                f"Received: {len(tokenizer.vocabulary)}"
            )
        weights = Weights(folder)
        try:
            check_encoder(weights, config)
        except BundleError as problem:
            raise BundleError(f"{folder}: {problem}") from None
        return cls(
            config=config,
            tokenizer=tokenizer,
            tensors=weights.read(),
            architecture=_architecture(values, folder) or guessed_architecture(frozenset(weights)),
            settings=JsonFile.read(settings_path, optional=True).values,
            foreign_config=foreign_settings(values),
            modules=modules,
        )

    @classmethod
    def _load_adapter(cls, folder: Path, notices: bool, base_path: files.PathLike | None) -> Bundle:
        """Reads the folder of an adapter and its base model, and returns the merged model."""
        adapter = read_adapter(folder)
        place = base_folder(folder, adapter.config) if base_path is None else Path(base_path)
        base = cls.load(place, notices=notices)
        check_base(folder, adapter, place, base.tensors, base.config)
        architecture, settings, foreign_config = adapted_settings(
            adapter, architecture=base.architecture, foreign_config=base.foreign_config
        )
        # The heads of the base model belong to its own architecture.
        kept = {
            name: tensor
            for name, tensor in base.tensors.items()
            if architecture == base.architecture or name.startswith(ENCODER_PREFIX)
        }
        config = base.config
        if adapter.bottleneck_size is not None:
            config = config.replace(bottleneck_size=adapter.bottleneck_size, bottleneck_act=adapter.bottleneck_act)
        return dataclasses.replace(
            base,
            config=config,
            tokenizer=adapted_tokenizer(adapter, base.tokenizer),
            tensors=merged_tensors(adapter, kept),
            architecture=architecture,
            settings=settings,
            foreign_config=foreign_config,
            # Those of the base model describe its vectors, which a model with another head does not give.
            modules=base.modules if architecture == "BertModel" else None,
        )

    def save(self, folder: files.PathLike, card: str) -> None:
        """Writes the files of the bundle into a folder, each one atomically, with config.json last.

        Args:
            folder: The folder. It may exist and contain other files. A modules.json of another model is removed.
            card: The model card in Markdown.
        """
        folder = Path(folder)
        tokenizer = self.tokenizer
        if tokenizer.settings.model_max_length is None:
            tokenizer = tokenizer.replace(model_max_length=self.config.max_position_embeddings)
        save_tokenizer(tokenizer, folder)
        save_weights(folder, self._tensors_to_store())
        files.write_json(folder / SETTINGS_FILE, {"kbert_version": __version__, **self.settings})
        files.write_text(folder / CARD_FILE, with_licenses(card, self.settings))
        if self.modules is not None and self.modules.gives_vectors:
            self.modules.save(folder, self.config.hidden_size)
        elif self.modules is None or transformer_path(folder):
            # The file describes another model; it would be read together with the new files, or instead of them.
            (folder / MODULES_FILE).unlink(missing_ok=True)
        suffix = "" if self.config.bottleneck_size is None else _BOTTLENECK_SUFFIX
        config = {"architectures": [self.architecture + suffix], **self.config.to_dict(), **self.foreign_config}
        if self.modules is not None and self.modules.kind == CROSS_ENCODER:
            # All versions of the library look for the activation here.
            config["sentence_transformers"] = {"activation_fn": self.modules.activation}
        files.write_json(folder / CONFIG_FILE, config)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    @property
    def longest_input(self) -> int:
        """The longest input in tokens: the limit in the folder's files, but at most the number of positions."""
        said = self.modules.max_length if self.modules is not None else None
        most = self.config.max_position_embeddings
        return min(most, said or self.tokenizer.settings.model_max_length or most)

    @property
    def labels(self) -> list[str]:
        """The class names in config.json, in the order of the logits.

        Without names there are `num_labels` classes, by default two, which are called "LABEL_0", "LABEL_1" and so on.

        Raises:
            BundleError: `num_labels` is invalid, or `id2label` does not have a name for each of 0, 1, 2, …
        """
        names = self.foreign_config.get("id2label")
        if names is None:
            count = self.foreign_config.get("num_labels", 2)
            if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MOST_LABELS:
                raise BundleError(
                    f"config.json: expected num_labels from 1 to {_MOST_LABELS}. Received: {shown(count)}"
                )
            return [f"LABEL_{index}" for index in range(count)]
        keys = {str(index) for index in range(len(names))} if isinstance(names, dict) else set()
        # Some folders have numbers as names, which Transformers accepts.
        are_names = bool(keys) and all(isinstance(each, (str, int)) for each in names.values())
        if not are_names or keys != set(map(str, names)):
            raise BundleError(
                f'config.json: expected id2label to be an object {{"0": "a label", "1": …}}. Received: {shown(names)}'
            )
        by_index = {int(index): str(name) for index, name in names.items()}
        return [by_index[index] for index in range(len(by_index))]

    def _tensors_to_store(self) -> dict[str, np.ndarray]:
        """Returns the tensors by the names in the file: those of a BertModel have no prefix "bert."."""
        if self.architecture != "BertModel":
            return self.tensors
        return {name.removeprefix(ENCODER_PREFIX): tensor for name, tensor in self.tensors.items()}


def quantize_aware(folder: files.PathLike) -> str | None:
    """Returns the dtype for which a model was trained with rounded weights; None for other models.

    Args:
        folder: The folder of the model.

    Raises:
        BundleError: kbert.json is damaged.
    """
    path = Path(folder) / SETTINGS_FILE
    value = JsonFile.read(path, optional=True).values.get(QUANTIZE_AWARE)
    if value is not None and not isinstance(value, str):
        raise BundleError(f"{path}: expected a dtype as {QUANTIZE_AWARE}. Received: {shown(value)}")
    return value


def is_bundle(path: files.PathLike) -> bool:
    """Returns whether a path is a folder with a model's config.json, or with an adapter for a model."""
    return is_adapter(path) or (Path(path) / transformer_path(path) / CONFIG_FILE).is_file()


def _tell_unknown_keys(path: Path, values: Mapping[str, Any]) -> None:
    """Logs the keys of config.json that a BERT does not use."""
    if unknown := unknown_keys(values):
        shown_keys = ", ".join(cut(key, 60) for key in unknown[:20])
        more = f" and {len(unknown) - 20} more" if len(unknown) > 20 else ""
        line = f"{path}: these keys are kept, but a BERT does not use them: {shown_keys}{more}"
        _LOG.info(" ".join(line.split()))


def _architecture(values: Mapping[str, Any], folder: Path) -> str | None:
    names = values.get("architectures")
    if not names:
        return None
    if not isinstance(names, list) or not isinstance(names[0], str):
        raise BundleError(
            f"{folder / CONFIG_FILE}: expected a list of names as architectures. Received: {shown(names)}"
        )
    return names[0].removesuffix(_BOTTLENECK_SUFFIX)

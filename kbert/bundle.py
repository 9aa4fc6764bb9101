"""The model folder ("bundle"): one that Hugging Face Transformers opens as it is.

    config.json             the shape of the model, with Transformers' keys
    vocab.txt               the vocabulary
    tokenizer_config.json   how text is tokenized
    model.safetensors       the weights, with Transformers' tensor names
    kbert.json              what kbert adds: what the model is for, its task's settings, metrics
    README.md               a model card

A bundle knows no task: it carries the task's settings without reading them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from kbert import files
from kbert.config import BertConfig
from kbert.errors import BundleError, ConfigError
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import CLASSIFICATION, MASK, PAD, SEPARATOR, UNKNOWN, Vocabulary
from kbert.version import __version__

CONFIG_FILE = "config.json"
VOCABULARY_FILE = "vocab.txt"
TOKENIZER_FILE = "tokenizer_config.json"
WEIGHTS_FILE = "model.safetensors"
SETTINGS_FILE = "kbert.json"
CARD_FILE = "README.md"


@dataclasses.dataclass
class Bundle:
    """A model folder's content.

    Args:
        config: The shape of the model.
        tokenizer: Its tokenizer.
        tensors: Weights by Transformers' names.
        architecture: Transformers' class for it, such as "BertForPreTraining".
        settings: What kbert adds; JSON.
        foreign_config: Further keys of config.json, such as `id2label`.
    """

    config: BertConfig
    tokenizer: Tokenizer
    tensors: dict[str, np.ndarray]
    architecture: str
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    foreign_config: dict[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls, folder: files.PathLike) -> Bundle:
        """Reads a model folder.

        Raises:
            BundleError: The folder is no bundle, or parts of it are missing, damaged or contradict each other.
            ConfigError: config.json has an unknown key, or a value that cannot be.
            VocabularyError: vocab.txt cannot be used.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise BundleError(f"expected a model folder. There is none at {folder}")
        values = files.read_json(folder / CONFIG_FILE, BundleError)
        try:
            config = BertConfig.from_dict(values)
        except ConfigError as problem:
            raise ConfigError(f"{folder / CONFIG_FILE}: {problem}") from None
        tokenizer = _load_tokenizer(folder)
        if len(tokenizer.vocabulary) > config.vocab_size:
            raise BundleError(
                f"{folder}: vocab.txt must have at most the {config.vocab_size} tokens that config.json says. "
                f"Received: {len(tokenizer.vocabulary)}"
            )
        settings_path = folder / SETTINGS_FILE
        settings = _read_object(settings_path) if settings_path.exists() else {}
        return cls(
            config=config,
            tokenizer=tokenizer,
            tensors=_load_tensors(folder / WEIGHTS_FILE),
            architecture=(values.get("architectures") or ["BertModel"])[0],
            settings=settings,
            foreign_config={key: value for key, value in values.items() if key in ("id2label", "label2id")},
        )

    def save(self, folder: files.PathLike, card: str) -> None:
        """Writes the files of the bundle into a folder, each atomically, config.json last.

        Args:
            folder: May exist, and may hold other files.
            card: The model card, Markdown.
        """
        folder = Path(folder)
        self.tokenizer.vocabulary.save(folder / VOCABULARY_FILE)
        files.write_json(folder / TOKENIZER_FILE, self._tokenizer_config())
        with files.atomic_file(folder / WEIGHTS_FILE) as handle:
            handle.write(safetensors.numpy.save(self.tensors, {"format": "pt"}))
        files.write_json(folder / SETTINGS_FILE, {"kbert_version": __version__, **self.settings})
        files.write_text(folder / CARD_FILE, card)
        config = {"architectures": [self.architecture], **self.config.to_dict(), **self.foreign_config}
        files.write_json(folder / CONFIG_FILE, config)

    def _tokenizer_config(self) -> dict[str, Any]:
        return {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": self.tokenizer.lowercase,
            "strip_accents": None,
            "tokenize_chinese_chars": True,
            "model_max_length": self.config.max_position_embeddings,
            "pad_token": PAD,
            "unk_token": UNKNOWN,
            "cls_token": CLASSIFICATION,
            "sep_token": SEPARATOR,
            "mask_token": MASK,
        }


def is_bundle(path: files.PathLike) -> bool:
    """Whether a path is a folder that holds a model."""
    return (Path(path) / CONFIG_FILE).is_file()


def describe_parameters(count: int) -> str:
    """A number of parameters, for people: 4,385,920 → "4.4M"."""
    return f"{count / 1e6:.1f}M"


def model_card(title: str, lines: Mapping[str, str], usage: str) -> str:
    """A model card in Markdown: what the model is, how it was made, how it is used."""
    rows = "".join(f"| {name} | {value} |\n" for name, value in lines.items())
    front = "---\nlibrary_name: kbert\ntags:\n- bert\n- kbert\n---\n"
    return f"{front}# {title}\n\n| | |\n|---|---|\n{rows}\n## Use\n\n```sh\n{usage.strip()}\n```\n"


def _read_object(path: Path) -> dict[str, Any]:
    values = files.read_json(path, BundleError)
    if not isinstance(values, dict):
        raise BundleError(f"{path}: expected a JSON object. Received: {type(values).__name__}")
    return values


def _load_tokenizer(folder: Path) -> Tokenizer:
    vocabulary = Vocabulary.from_file(folder / VOCABULARY_FILE)
    path = folder / TOKENIZER_FILE
    settings = _read_object(path) if path.exists() else {}
    return Tokenizer(vocabulary, lowercase=bool(settings.get("do_lower_case", True)))


def _load_tensors(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        other = path.with_name("pytorch_model.bin")
        hint = (
            "; pytorch_model.bin is a pickle, which can run any code: save it as safetensors" if other.exists() else ""
        )
        raise BundleError(f"{path} is missing{hint}")
    try:
        with safetensors.safe_open(path, "numpy") as handle:
            return {_current_name(name): handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a dict)
    except (safetensors.SafetensorError, OSError, TypeError, ValueError) as problem:
        raise BundleError(f"{path} is damaged ({problem})") from None


def _current_name(name: str) -> str:
    """The name that Transformers gives a tensor today: bert-base-uncased of the hub has names of 2018, and a bare
    BertModel has no prefix.
    """  # noqa: D205 (one sentence)
    if name.startswith(("embeddings.", "encoder.", "pooler.")):
        name = f"bert.{name}"
    if name.endswith("LayerNorm.gamma"):
        return name.removesuffix("gamma") + "weight"
    if name.endswith("LayerNorm.beta"):
        return name.removesuffix("beta") + "bias"
    return name

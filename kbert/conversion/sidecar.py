"""Stores what a foreign format cannot represent, in two files beside the model that only kbert reads.

    kbert.json          the settings of the bundle: its task, labels, configuration, tokenizer, and the settings in the
                        files of sentence-transformers
    kbert.safetensors   the tensors that the format cannot store

With these files a model that is converted to a foreign format and back is identical to the byte. Other programs ignore
them.
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
from kbert.conversion.settings import ConversionSettings, find_lowercase
from kbert.errors import BundleError, ConfigError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.file_names import SETTINGS_FILE
from kbert.model_folder.parts import find_heads
from kbert.model_folder.sentence_transformers import SentenceModules
from kbert.text.settings import TokenizerSettings, settings_from_dict
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import Vocabulary
from kbert.version import __version__

TENSORS_FILE = "kbert.safetensors"
_KEY = "conversion"
_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)


@dataclasses.dataclass(frozen=True)
class Sidecar:
    """The contents of kbert's files beside a foreign model.

    Args:
        config: The configuration of the bundle.
        architecture: The bundle's class name in Transformers.
        tokenizer: The settings of the bundle's tokenizer.
        foreign_config: See `Bundle`.
        settings: See `Bundle`.
        tensors: The tensors that the format cannot store.
        missing: The names of the tensors that the format requires and the bundle does not have.
        pieces: The number of lines in the bundle's vocab.txt, including blank lines at the end; 0 if it was not stored.
        heads: The heads of the bundle, which may belong to several architectures; None if they were not stored.
        modules: The settings in the files of sentence-transformers; None if the bundle had none.
    """

    config: BertConfig
    architecture: str
    tokenizer: TokenizerSettings
    foreign_config: dict[str, Any]
    settings: dict[str, Any]
    tensors: dict[str, np.ndarray]
    missing: tuple[str, ...]
    pieces: int = 0
    heads: frozenset[str] | None = None
    modules: SentenceModules | None = None

    def fits(self, config: BertConfig) -> bool:
        """Returns whether the stored config has the same sizes as `config`."""
        return all(getattr(self.config, name) == getattr(config, name) for name in _SIZES)


def write(folder: Path, bundle: Bundle, tensors: Mapping[str, np.ndarray], missing: tuple[str, ...] = ()) -> None:
    """Writes kbert's files beside a foreign model.

    Args:
        folder: The folder of the foreign model.
        bundle: The model that was converted.
        tensors: The tensors that the format cannot store.
        missing: The names of the tensors that the format requires and the bundle does not have.
    """
    settings = {key: value for key, value in bundle.settings.items() if key not in ("kbert_version", _KEY)}
    own = {
        "architecture": bundle.architecture,
        "config": bundle.config.to_dict(),
        "tokenizer": dataclasses.asdict(bundle.tokenizer.settings),
        "foreign_config": bundle.foreign_config,
        "missing": list(missing),
        "pieces": bundle.tokenizer.vocabulary.piece_count,
        "heads": sorted(find_heads(bundle.tensors)),
    }
    if bundle.modules is not None:
        own["modules"] = bundle.modules.to_dict()
    files.write_json(folder / SETTINGS_FILE, {"kbert_version": __version__, **settings, _KEY: own})
    if tensors:
        with files.atomic_file(folder / TENSORS_FILE) as handle:
            handle.write(safetensors.numpy.save(dict(tensors), {"format": "pt"}))


def read(folder: Path, config: BertConfig, options: ConversionSettings) -> Sidecar | None:
    """Reads kbert's files beside a foreign model.

    Args:
        folder: The folder of the model.
        config: The shape of the model according to the foreign files.
        options: A note is added if kbert's files belong to another model.

    Returns:
        The contents of the files; None if there are none, or if they belong to another model.

    Raises:
        BundleError: The files are damaged.
        ConfigError: The config in kbert.json is invalid.
    """
    found = _read(folder)
    if found and not found.fits(config):
        options.notes.append(f"{folder / SETTINGS_FILE} belongs to another model and is ignored")
        return None
    return found


def tokenizer_of(vocabulary: Vocabulary, beside: Sidecar | None, options: ConversionSettings) -> Tokenizer:
    """Returns the tokenizer of a foreign model.

    The settings come from kbert's files if there are any. Otherwise the model is cased if its vocabulary has capitals.

    Args:
        vocabulary: The vocabulary of the foreign model.
        beside: The contents of kbert's files, or None.
        options: `options.lowercase` overrides both. If the vocabulary decides, a note is added.
    """
    if beside and options.lowercase is None:
        return Tokenizer.from_settings(vocabulary.with_blank_end(beside.pieces), beside.tokenizer)
    return Tokenizer(vocabulary, lowercase=find_lowercase(vocabulary, options))


def _read(folder: Path) -> Sidecar | None:
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return None
    settings = files.read_json(path, BundleError)
    own = settings.pop(_KEY, None) if isinstance(settings, dict) else None
    if own is None:
        return None
    try:
        config = BertConfig.from_dict(own["config"])
        architecture, tokenizer = own["architecture"], settings_from_dict(own["tokenizer"])
        foreign_config, missing = dict(own.get("foreign_config", {})), tuple(own.get("missing", ()))
        modules = SentenceModules.from_dict(own["modules"]) if "modules" in own else None
    except ConfigError as problem:
        raise ConfigError(f"{path}: {problem}; remove the file to convert without its settings") from None
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as problem:
        raise BundleError(f"{path} is damaged ({problem!s:.200}); remove it to convert without its settings") from None
    pieces, heads = own.get("pieces", 0), own.get("heads")
    if not isinstance(architecture, str) or not isinstance(pieces, int) or not isinstance(heads, list | None):
        raise BundleError(f"{path} is damaged; remove it to convert without its settings")
    settings.pop("kbert_version", None)
    return Sidecar(
        config=config,
        architecture=architecture,
        tokenizer=tokenizer,
        foreign_config=foreign_config,
        settings=settings,
        tensors=_read_tensors(folder / TENSORS_FILE),
        missing=missing,
        pieces=pieces,
        heads=None if heads is None else frozenset(map(str, heads)),
        modules=modules,
    )


def _read_tensors(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        return {}
    try:
        with safetensors.safe_open(path, "numpy") as handle:
            return {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a dict)
    except (safetensors.SafetensorError, OSError, TypeError, ValueError) as problem:
        raise BundleError(f"{path} is damaged ({problem}); remove it to convert without its tensors") from None

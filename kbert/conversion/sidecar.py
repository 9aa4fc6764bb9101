"""What a foreign format has no place for, in two files beside its own that only kbert reads.

    kbert.json          the settings of the bundle: its task, labels, configuration, tokenizer, and the settings in the
                        files of sentence-transformers
    kbert.safetensors   tensors that the format cannot hold

So a model that goes out and comes back is the same to the byte, and other programs see their own format alone.
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
from kbert.conversion.options import Options, find_lowercase
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
    """What was kept beside a foreign model.

    Args:
        config: The configuration of the bundle.
        architecture: Transformers' class of the bundle.
        tokenizer: The settings of its tokenizer.
        foreign_config: See `Bundle`.
        settings: See `Bundle`.
        tensors: Tensors that the format cannot hold.
        missing: Tensors that the format demands and the bundle did not have.
        pieces: The number of lines of its vocab.txt, blank lines at the end included; 0 if it was not stored.
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
        """Whether it speaks of a model of this size."""
        return all(getattr(self.config, name) == getattr(config, name) for name in _SIZES)


def write(folder: Path, bundle: Bundle, tensors: Mapping[str, np.ndarray], missing: tuple[str, ...] = ()) -> None:
    """Writes the files for `bundle` beside a foreign model; `tensors` are the ones that have no place there."""
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


def read(folder: Path, config: BertConfig, options: Options) -> Sidecar | None:
    """Reads the files beside a foreign model.

    Args:
        folder: The folder of the model.
        config: What the foreign files say of the shape of the model.
        options: A note is added if the files are of another model.

    Returns:
        The content of the files; None if kbert wrote none, or for another model.

    Raises:
        BundleError: They are damaged.
        ConfigError: The configuration in them is invalid.
    """
    found = _read(folder)
    if found and not found.fits(config):
        options.notes.append(f"{folder / SETTINGS_FILE} is of another model; nothing of it was used")
        return None
    return found


def tokenizer_of(vocabulary: Vocabulary, beside: Sidecar | None, options: Options) -> Tokenizer:
    """The tokenizer of a vocabulary: kbert's own files say how text is tokenized, or else capitals in it tell its case.

    Args:
        vocabulary: The vocabulary of the foreign model.
        beside: What `read` gave.
        options: The user may say whether text is lower-cased; a note says what was found out.
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
        raise ConfigError(f"{path}: {problem}; remove the file to go without what it says") from None
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as problem:
        raise BundleError(f"{path} is damaged ({problem!s:.200}); remove it to go without what it says") from None
    pieces, heads = own.get("pieces", 0), own.get("heads")
    if not isinstance(architecture, str) or not isinstance(pieces, int) or not isinstance(heads, list | None):
        raise BundleError(f"{path} is damaged; remove it to go without what it says")
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
        raise BundleError(f"{path} is damaged ({problem}); remove it to go without the tensors in it") from None

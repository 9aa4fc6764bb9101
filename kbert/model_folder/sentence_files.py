"""Reads the files of sentence-transformers in a model folder; kbert.model_folder.sentence_transformers lists them.

Folders are untrusted: the type of every value is checked, and paths outside the folder are refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kbert import files
from kbert.errors import BundleError, cut, shown
from kbert.model_folder.json_file import JsonFile
from kbert.model_folder.sentence_transformers import (
    CROSS_ENCODER,
    EMBEDDER,
    LIBRARY_FILE,
    MODULE_FILE,
    MODULE_PREFIX,
    MODULES_FILE,
    POOLING_FLAGS,
    POOLINGS,
    SHORTEST_INPUT,
    TRANSFORMER_FILE,
    SentenceModules,
)

_TRANSFORMER_TASKS = {EMBEDDER: "feature-extraction", CROSS_ENCODER: "sequence-classification"}
"""The value of the setting `transformer_task` that kbert supports, by the kind of the model."""
_OLDEST_TRANSFORMER = f"{MODULE_PREFIX}models.BERT"
"""The class of the first module in folders of 2019, whose subfolder is 0_BERT."""
_LENGTHS_BY_ROLE = ("query_length", "document_length", "query_expansion")
"""Settings of the transformer that kbert does not support."""


def transformer_path(folder: files.PathLike) -> str:
    """Returns the subfolder of a model folder with the transformer's files; "" means the folder itself.

    Raises:
        BundleError: modules.json is damaged, its first module is not a transformer, or a path is outside the folder.
    """
    path = Path(folder) / MODULES_FILE
    return _modules(path)[0].path if path.is_file() else ""


def module_files(folder: files.PathLike) -> list[str]:
    """Returns the settings files of the modules that modules.json names, for a download.

    The transformer contributes sentence_bert_config.json only; its other files are not listed.

    Raises:
        BundleError: See `transformer_path`.
    """
    path = Path(folder) / MODULES_FILE
    if not path.is_file():
        return []
    first, *others = _modules(path)
    return [_joined(first.path, TRANSFORMER_FILE), *(_joined(module.path, MODULE_FILE) for module in others)]


def read_modules(folder: files.PathLike, width: int | None = None) -> SentenceModules | None:
    """Reads the files of sentence-transformers in a model folder; returns None if there is no modules.json.

    Args:
        folder: The model folder.
        width: The number of dimensions of the transformer's vectors, which is compared with the files; None skips this
            check.

    Raises:
        BundleError: A file is missing or damaged, or has another number of dimensions.
    """
    folder = Path(folder)
    if not (folder / MODULES_FILE).is_file():
        return None
    first, *others = _modules(folder / MODULES_FILE)
    library = JsonFile.read(folder / LIBRARY_FILE, optional=True)
    kind = library.string("model_type") or EMBEDDER
    transformer = JsonFile.read(folder / first.path / TRANSFORMER_FILE, optional=True)
    problems = [_transformer_problem(transformer, kind)]
    found: dict[str, Any] = {}
    if kind == CROSS_ENCODER:
        found["activation"] = library.string("activation_fn")
        problems += [f"a module {module.type}" for module in others]
        if library.string("default_prompt_name"):
            problems.append("a default prompt of a cross-encoder")
    elif kind == EMBEDDER:
        found |= _vector_modules(folder, others, width, problems)
    else:
        problems.append(f"a {kind}")
    return SentenceModules(
        max_length=_length(transformer),
        lowercase=transformer.flag("do_lower_case", False),
        prompts=library.strings("prompts"),
        default_prompt=_default_prompt(library),
        similarity=library.string("similarity_fn_name") or "cosine",
        kind=kind,
        unsupported=next(filter(None, problems), None),
        **found,
    )


@dataclasses.dataclass(frozen=True)
class _Module:
    """An entry of modules.json.

    Args:
        type: The class name of the module, with its package only if the class is not part of sentence-transformers.
        path: The module's folder, relative to the model folder; "" means the model folder.
    """

    type: str
    path: str


def _modules(path: Path) -> list[_Module]:
    values = files.read_json(path, BundleError)
    if not isinstance(values, list) or not values or not all(isinstance(value, dict) for value in values):
        raise BundleError(f"{path}: expected a list of modules. Received: {shown(values)}")
    modules = []
    for value in values:
        name, where = value.get("type"), value.get("path", "")
        if not isinstance(name, str) or not isinstance(where, str):
            raise BundleError(f'{path}: expected {{"type": …, "path": …}} of each module. Received: {shown(value)}')
        parts = PurePosixPath(where).parts
        if ".." in parts or where.startswith(("/", "~")) or any(mark in where for mark in "\\:\0"):
            raise BundleError(f"{path}: the path of a module must lie inside the folder. Received: {shown(where)}")
        kind = name.rpartition(".")[2] if name.startswith(MODULE_PREFIX) else name
        if name == _OLDEST_TRANSFORMER:
            kind = "Transformer"
        modules.append(_Module(cut(kind, 100), "/".join(parts)))
    if modules[0].type != "Transformer":
        raise BundleError(f"{path}: expected a Transformer as the first module. Received: {shown(modules[0].type)}")
    return modules


def _vector_modules(
    folder: Path, modules: list[_Module], width: int | None, problems: list[str | None]
) -> dict[str, Any]:
    """Returns the settings of the modules after the transformer.

    Args:
        folder: The model folder.
        modules: The modules after the transformer.
        width: The number of dimensions to check, or None.
        problems: The list to which a description of each unsupported module is appended.
    """
    found: dict[str, Any] = {"normalize": False}
    for place, module in enumerate(modules):
        if module.type not in ("Pooling", "Normalize"):
            problems.append(f"a module {module.type}")
        elif (module.type == "Pooling") != (place == 0):
            problems.append(f"a {module.type} as module {place + 1} after the transformer")
        elif module.type == "Pooling":
            values = JsonFile.read(folder / module.path / MODULE_FILE)
            if width is not None:
                _check_width(values, width)
            modes = _modes(values)
            found["include_prompt"] = values.flag("include_prompt", True)
            if len(modes) == 1 and modes[0] in POOLINGS:
                found["pooling"] = modes[0]
            else:
                problems.append(f"the pooling {' with '.join(modes)}")
        else:
            values = JsonFile.read(folder / module.path / MODULE_FILE, optional=True)
            names = {values.string(key) for key in ("module_input_name", "module_output_name")}
            if names - {None, "sentence_embedding"}:
                problems.append("a Normalize of another output than the text's vector")
            found["normalize"] = True
    if not any(module.type == "Pooling" for module in modules):
        problems.append("a model without a Pooling module")
    return found


def _check_width(values: JsonFile, width: int) -> None:
    for key in ("word_embedding_dimension", "embedding_dimension"):
        said = values.values.get(key, width)
        if said != width:
            raise BundleError(f"{values.path}: {key} must be {width}, as in config.json. Received: {shown(said)}")


def _modes(values: JsonFile) -> list[str]:
    """Returns the names of the poolings, whose results are concatenated.

    Newer files contain these names; older files contain a flag for each pooling.
    """
    newer = values.values.get("pooling_mode")
    if newer is None:
        return [mode for name, mode in POOLING_FLAGS.items() if values.flag(name, False)] or ["mean"]
    modes = newer if isinstance(newer, list) else [newer]
    if not modes or not all(isinstance(mode, str) and 0 < len(mode) <= 40 for mode in modes[:9]) or len(modes) > 8:
        raise BundleError(
            f"{values.path}: expected a name, or a list of names, as pooling_mode. Received: {shown(newer)}"
        )
    return modes


def _transformer_problem(values: JsonFile, kind: str) -> str | None:
    task = values.string("transformer_task")
    wanted = _TRANSFORMER_TASKS.get(kind)
    if task is not None and wanted is not None and task != wanted:
        return f"the transformer_task {task}"
    for name in _LENGTHS_BY_ROLE:
        if values.values.get(name) is not None:
            return f"the setting {name}"
    modality = values.object("modality_config").get("text")
    if kind == EMBEDDER and isinstance(modality, Mapping):
        output = modality.get("method_output_name", "last_hidden_state")
        if modality.get("method", "forward") != "forward" or output not in ("last_hidden_state", ["last_hidden_state"]):
            return f"the modality_config {shown(dict(modality))}"
    return None


def _length(values: JsonFile) -> int | None:
    """Returns the longest input in tokens: `max_seq_length`, or in newer files the `max_length` of texts; or None."""
    text = values.object("processing_kwargs").get("text")
    length = text.get("max_length") if isinstance(text, Mapping) else None
    if length is None:
        length = values.values.get("max_seq_length")
    if length is None:
        return None
    if not isinstance(length, int) or isinstance(length, bool) or length < SHORTEST_INPUT:
        raise BundleError(
            f"{values.path}: expected max_seq_length, an integer of at least {SHORTEST_INPUT}. "
            f"Received: {shown(length)}"
        )
    return length


def _default_prompt(values: JsonFile) -> str | None:
    name = values.string("default_prompt_name")
    if name is not None and name not in values.strings("prompts"):
        raise BundleError(f"{values.path}: expected default_prompt_name to be one of prompts. Received: {shown(name)}")
    return name


def _joined(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name

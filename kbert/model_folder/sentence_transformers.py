"""The files of the library sentence-transformers in a model folder, which define how a text becomes a vector.

    modules.json                        the modules in order: Transformer, Pooling, and optionally Normalize
    1_Pooling/config.json               how the token vectors are combined into one vector
    2_Normalize/                        the vector is scaled to the length 1
    sentence_bert_config.json           the longest input; this file is beside the transformer's files
    config_sentence_transformers.json   prompts, the kind of the model, and how vectors are compared

The transformer's own files are in the folder itself, or in the subfolder that modules.json names, such as
0_Transformer. Folders are untrusted: the type of every value is checked, and paths outside the folder are refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kbert import files
from kbert.errors import BundleError, shown
from kbert.version import __version__

MODULES_FILE = "modules.json"
LIBRARY_FILE = "config_sentence_transformers.json"
TRANSFORMER_FILE = "sentence_bert_config.json"
MODULE_FILE = "config.json"
"""The settings file of each module other than the transformer, in the module's folder."""

POOLINGS = ("mean", "cls", "max")
"""The supported poolings: the mean of all token vectors, the vector of [CLS], and the maximum of each dimension."""
SIMILARITIES = ("cosine", "dot")

EMBEDDER = "SentenceTransformer"
CROSS_ENCODER = "CrossEncoder"

_SHORTEST = 5
_PREFIX = "sentence_transformers."
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# Settings of a transformer module other than length and case, with the values that kbert supports.
_TRANSFORMER_TASKS = {EMBEDDER: "feature-extraction", CROSS_ENCODER: "sequence-classification"}
_LENGTHS_BY_ROLE = ("query_length", "document_length", "query_expansion")
_ACTIVATION_KEY = "sbert_ce_default_activation_function"
_ACTIVATIONS = {"identity": "torch.nn.modules.linear.Identity", "sigmoid": "torch.nn.modules.activation.Sigmoid"}


@dataclasses.dataclass(frozen=True)
class SentenceModules:
    """The settings of a model in the files of sentence-transformers.

    Args:
        pooling: How token vectors are combined: "mean", "cls" or "max".
        normalize: Whether vectors are scaled to the length 1.
        max_length: The longest input in tokens, special tokens included; None if only the tokenizer gives it.
        lowercase: Whether text is lower-cased in addition to what the tokenizer's settings say.
        prompts: Texts that are prepended to an input, by name.
        default_prompt: The name of the prompt that is used by default, or None.
        include_prompt: Whether the tokens of a prompt are included in the pooling.
        similarity: How vectors are compared: "cosine", "dot", or another name from the files.
        kind: The name of the model's class in the library: "SentenceTransformer", "CrossEncoder" or another.
        activation: The dotted name of the function that a cross-encoder applies to its logit; None if no file names it.
        unsupported: A description of the first setting or module that kbert does not support, or None.
    """

    pooling: str = "mean"
    normalize: bool = True
    max_length: int | None = None
    lowercase: bool = False
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt: str | None = None
    include_prompt: bool = True
    similarity: str = "cosine"
    kind: str = EMBEDDER
    activation: str | None = None
    unsupported: str | None = None

    @property
    def gives_vectors(self) -> bool:
        """Whether the model computes vectors of texts, and kbert supports all of its modules."""
        return self.kind == EMBEDDER and self.unsupported is None

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as a JSON object."""
        return dataclasses.asdict(self) | {"prompts": dict(self.prompts)}

    @classmethod
    def from_dict(cls, values: Any) -> SentenceModules:
        """Returns the settings from the result of `to_dict`. The values are untrusted and therefore checked.

        Raises:
            ValueError: A key is unknown, or a value is invalid.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(values, Mapping) or not set(values) <= names:
            raise ValueError(f"expected an object with some of {', '.join(sorted(names))}. Received: {shown(values)}")
        found = cls(**values)
        texts = (found.pooling, found.similarity, found.kind)
        optional = (found.default_prompt, found.activation, found.unsupported)
        flags = (found.normalize, found.lowercase, found.include_prompt)
        length, prompts = found.max_length, found.prompts
        if (
            not all(isinstance(value, str) for value in texts)
            or not all(value is None or isinstance(value, str) for value in optional)
            or not all(isinstance(value, bool) for value in flags)
            or not (length is None or (type(length) is int and length >= _SHORTEST))
            or not isinstance(prompts, Mapping)
            or not all(isinstance(value, str) for value in (*prompts, *prompts.values()))
            or found.pooling not in POOLINGS
            or (found.default_prompt is not None and found.default_prompt not in prompts)
        ):
            raise ValueError(f"expected the settings of sentence-transformers. Received: {shown(dict(values))}")
        return found

    def save(self, folder: files.PathLike, width: int) -> None:
        """Writes the files into a model folder, in the form that versions 2 and later of the library can read.

        Args:
            folder: The folder with the transformer's files.
            width: The number of dimensions of the vectors.
        """
        folder = Path(folder)
        modules = ["Transformer", "Pooling", *(["Normalize"] if self.normalize else [])]
        paths = ["", *(f"{index}_{name}" for index, name in enumerate(modules) if index)]
        for path in paths[1:]:
            (folder / path).mkdir(exist_ok=True)
        pooling = {name: mode == self.pooling for name, mode in _FLAGS.items()}
        files.write_json(
            folder / paths[1] / MODULE_FILE,
            {"word_embedding_dimension": width, **pooling, "include_prompt": self.include_prompt},
        )
        if self.normalize:
            files.write_json(folder / paths[2] / MODULE_FILE, {})
        files.write_json(
            folder / TRANSFORMER_FILE, {"max_seq_length": self.max_length, "do_lower_case": self.lowercase}
        )
        files.write_json(
            folder / LIBRARY_FILE,
            {
                "model_type": EMBEDDER,
                "__version__": {"kbert": __version__},
                "prompts": dict(self.prompts),
                "default_prompt_name": self.default_prompt,
                "similarity_fn_name": self.similarity,
            },
        )
        files.write_json(
            folder / MODULES_FILE,
            [
                {"idx": index, "name": str(index), "path": path, "type": f"{_PREFIX}models.{name}"}
                for index, (name, path) in enumerate(zip(modules, paths, strict=True))
            ],
        )


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
    library = _Values.read(folder / LIBRARY_FILE, optional=True)
    kind = library.string("model_type") or EMBEDDER
    transformer = _Values.read(folder / first.path / TRANSFORMER_FILE, optional=True)
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


def named_activation(foreign_config: Mapping[str, Any], modules: SentenceModules | None) -> tuple[bool, str | None]:
    """Returns whether the files declare a cross-encoder, and the dotted name of its activation, or None.

    Args:
        foreign_config: The keys of config.json that are not fields of `BertConfig`.
        modules: The contents of the files of sentence-transformers, or None.
    """
    if modules is not None and modules.kind == CROSS_ENCODER:
        return True, modules.activation
    values = foreign_config.get("sentence_transformers")
    if isinstance(values, Mapping):
        name = values.get("activation_fn")
        return True, name if isinstance(name, str) else None
    if _ACTIVATION_KEY in foreign_config:
        name = foreign_config[_ACTIVATION_KEY]
        return True, name if isinstance(name, str) else None
    return False, None


def known_activation(name: str | None) -> str:
    """Returns the activation with a dotted name: "identity", or "sigmoid", which is also the library's default.

    Args:
        name: The dotted name, such as "torch.nn.modules.linear.Identity"; None means the default.

    Raises:
        ValueError: kbert does not support this activation.
    """
    if name is None:
        return "sigmoid"
    for ours, theirs in _ACTIVATIONS.items():
        if name in (theirs, f"torch.nn.{theirs.rpartition('.')[2]}"):
            return ours
    raise ValueError(f"the activation must be torch.nn.Identity or torch.nn.Sigmoid. Received: {shown(name)}")


def activation_name(activation: str) -> str:
    """Returns the dotted name of an activation, which is "identity" or "sigmoid"."""
    return _ACTIVATIONS[activation]


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
        kind = name.rpartition(".")[2] if name.startswith(_PREFIX) else name
        modules.append(_Module(kind if len(kind) <= 100 else f"{kind[:100]}…", "/".join(parts)))
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
            values = _Values.read(folder / module.path / MODULE_FILE)
            if width is not None:
                _check_width(values, width)
            modes = _modes(values)
            found["include_prompt"] = values.flag("include_prompt", True)
            if len(modes) == 1 and modes[0] in POOLINGS:
                found["pooling"] = modes[0]
            else:
                problems.append(f"the pooling {' with '.join(modes)}")
        else:
            values = _Values.read(folder / module.path / MODULE_FILE, optional=True)
            names = {values.string(key) for key in ("module_input_name", "module_output_name")}
            if names - {None, "sentence_embedding"}:
                problems.append("a Normalize of another output than the text's vector")
            found["normalize"] = True
    if not any(module.type == "Pooling" for module in modules):
        problems.append("a model without a Pooling module")
    return found


def _check_width(values: _Values, width: int) -> None:
    for key in ("word_embedding_dimension", "embedding_dimension"):
        said = values.values.get(key, width)
        if said != width:
            raise BundleError(f"{values.path}: {key} must be {width}, as in config.json. Received: {shown(said)}")


def _modes(values: _Values) -> list[str]:
    """Returns the names of the poolings, whose results are concatenated.

    Newer files contain these names; older files contain a flag for each pooling.
    """
    newer = values.values.get("pooling_mode")
    if newer is None:
        return [mode for name, mode in _FLAGS.items() if values.flag(name, False)] or ["mean"]
    modes = newer if isinstance(newer, list) else [newer]
    if not modes or not all(isinstance(mode, str) and 0 < len(mode) <= 40 for mode in modes[:9]) or len(modes) > 8:
        raise BundleError(
            f"{values.path}: expected a name, or a list of names, as pooling_mode. Received: {shown(newer)}"
        )
    return modes


def _transformer_problem(values: _Values, kind: str) -> str | None:
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


def _length(values: _Values) -> int | None:
    """Returns the longest input in tokens: `max_seq_length`, or in newer files the `max_length` of texts; or None."""
    text = values.object("processing_kwargs").get("text")
    length = text.get("max_length") if isinstance(text, Mapping) else None
    if length is None:
        length = values.values.get("max_seq_length")
    if length is None:
        return None
    if not isinstance(length, int) or isinstance(length, bool) or length < _SHORTEST:
        raise BundleError(
            f"{values.path}: expected max_seq_length, an integer of at least {_SHORTEST}. Received: {shown(length)}"
        )
    return length


def _default_prompt(values: _Values) -> str | None:
    name = values.string("default_prompt_name")
    if name is not None and name not in values.strings("prompts"):
        raise BundleError(f"{values.path}: expected default_prompt_name to be one of prompts. Received: {shown(name)}")
    return name


def _joined(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


@dataclasses.dataclass(frozen=True)
class _Values:
    """A JSON object whose values are untrusted. All methods raise a BundleError for a value of another type."""

    path: Path
    values: dict[str, Any]

    @classmethod
    def read(cls, path: Path, *, optional: bool = False) -> _Values:
        """Reads a file; for an optional file that does not exist, returns an empty object."""
        values = {} if optional and not path.is_file() else files.read_json(path, BundleError)
        if not isinstance(values, dict):
            raise BundleError(f"{path}: expected a JSON object. Received: {type(values).__name__}")
        return cls(path, values)

    def string(self, name: str) -> str | None:
        """Returns a string, or None if it is missing."""
        return self._get(name, lambda value: isinstance(value, str), "a string")

    def flag(self, name: str, default: bool) -> bool:
        """Returns a boolean, or the default if it is missing."""
        value: bool | None = self._get(name, lambda value: isinstance(value, bool), "true or false")
        return default if value is None else value

    def object(self, name: str) -> Mapping[str, Any]:
        """Returns an object, or an empty object if it is missing."""
        return self._get(name, lambda value: isinstance(value, dict), "an object") or {}

    def strings(self, name: str) -> dict[str, str]:
        """Returns an object with strings as values; null is replaced by ""."""
        values = self.object(name)
        for key, value in values.items():
            if value is not None and not isinstance(value, str):
                raise BundleError(f"{self.path}: expected a string as {shown(key)} of {name}. Received: {shown(value)}")
        return {key: value or "" for key, value in values.items()}

    def _get(self, name: str, fits: Callable[[Any], bool], kind: str) -> Any:
        value = self.values.get(name)
        if value is not None and not fits(value):
            raise BundleError(f"{self.path}: expected {kind} as {name}. Received: {shown(value)}")
        return value

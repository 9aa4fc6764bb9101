"""Downloads models of the Hugging Face Hub, which are named "hf://owner/name" or "hf://owner/name@revision".

Only the files that kbert reads are downloaded: text files, and the weights as safetensors or, if there are none, as
pytorch_model.bin, which is read without executing the pickle in it (kbert/model_folder/torch_files.py).
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from kbert import files
from kbert.errors import HubError, UsageError
from kbert.files import PathLike
from kbert.model_folder.file_names import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_HUB_TORCH_FILE,
    ADAPTER_HUB_WEIGHTS_FILE,
    ADAPTER_TORCH_FILE,
    ADAPTER_WEIGHTS_FILE,
    CARD_FILE,
    CONFIG_FILE,
    HEAD_CONFIG_FILE,
    HEAD_TORCH_FILE,
    HEAD_WEIGHTS_FILE,
    SETTINGS_FILE,
    WEIGHT_FORMS,
)
from kbert.model_folder.sentence_files import module_files, transformer_path
from kbert.model_folder.sentence_transformers import LIBRARY_FILE, MODULES_FILE
from kbert.runtime.held_output import quiet_logger
from kbert.text.tokenizer_files.names import ADDED_TOKENS_FILE, SPECIAL_TOKENS_FILE, TOKENIZER_FILE, VOCABULARY_FILE
from kbert.text.tokenizer_files.names import CONFIG_FILE as TOKENIZER_CONFIG_FILE

PREFIX = "hf://"
OPTIONAL_FILES = (SETTINGS_FILE, MODULES_FILE, LIBRARY_FILE, CARD_FILE, HEAD_CONFIG_FILE)
"""Optional files at the top of the repository. All text files are downloaded before the weights, so a cache that has
the weights also has all text files."""
TOKENIZER_FILES = (
    VOCABULARY_FILE,
    TOKENIZER_FILE,
    TOKENIZER_CONFIG_FILE,
    SPECIAL_TOKENS_FILE,
    ADDED_TOKENS_FILE,
)
"""Optional files beside config.json, which is in 0_Transformer in older folders of sentence-transformers."""
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")


def is_hub_name(source: PathLike) -> bool:
    """Returns whether a source is the name of a model on the hub, and not a path on this machine."""
    return isinstance(source, str) and source.startswith(PREFIX)


def resolve(source: PathLike) -> Path:
    """Returns the folder of a model.

    For the name of a model on the hub it is the folder in the hub's cache; missing files are downloaded first. A path
    is returned unchanged. The address of the hub, the cache and the access token come from huggingface_hub's own
    settings (HF_ENDPOINT, HF_HOME, HF_TOKEN, HF_HUB_OFFLINE).

    Args:
        source: A path, or the name of a model on the hub.

    Raises:
        UsageError: The name is invalid, or huggingface_hub is not installed.
        HubError: The hub cannot be reached and the model is not in the cache, the hub has no such model, the user has
            no access to it, or it has no weights that kbert can read.
    """
    if not is_hub_name(source):
        return Path(source)
    name = os.fspath(source)
    if not _NAME.fullmatch(name.removeprefix(PREFIX)):
        raise UsageError(f"expected {PREFIX}owner/name or {PREFIX}owner/name@revision. Received: {name}")
    repository, _, revision = name.removeprefix(PREFIX).partition("@")
    try:
        import huggingface_hub  # noqa: F401 (whether it is there)
    except ImportError:
        raise UsageError(f"{name} is on the Hugging Face Hub, which needs: pip install 'kbert[hub]'") from None
    return _Repository(name, repository, revision or None).download()


class _Repository:
    """A model on the hub.

    Args:
        name: The name as the user wrote it, for messages.
        repository: "owner/name".
        revision: A branch, a tag or a commit; None for the main branch.
    """

    def __init__(self, name: str, repository: str, revision: str | None) -> None:
        self.name = name
        self.repository = repository
        self.revision = revision
        # huggingface_hub reads these variables only when it is first imported, but a program may set them later.
        self._endpoint = os.environ.get("HF_ENDPOINT") or None
        home = os.environ.get("HF_HOME")
        self._cache = os.environ.get("HF_HUB_CACHE") or (os.path.join(home, "hub") if home else None)

    def download(self) -> Path:
        """Downloads the files that are not in the cache, and returns the folder."""
        folder = self._fetch([CONFIG_FILE, ADAPTER_CONFIG_FILE, *OPTIONAL_FILES])
        # The other files are taken from the same commit, even if the branch changes in the meantime.
        self.revision = folder.name
        if (folder / ADAPTER_CONFIG_FILE).is_file() and not (folder / CONFIG_FILE).is_file():
            return self._download_adapter(folder)
        if not any((folder / name).is_file() for name in (CONFIG_FILE, MODULES_FILE)):
            raise HubError(f"{self.name}: expected a model with {CONFIG_FILE}. The repository has none")
        path = transformer_path(folder)
        beside = f"{path}/" if path else ""
        indices = [index for _, index, _ in WEIGHT_FORMS]
        self._fetch([*module_files(folder), *(beside + name for name in (CONFIG_FILE, *TOKENIZER_FILES, *indices))])
        if not (folder / path / CONFIG_FILE).is_file():
            raise HubError(f"{self.name}: expected a model with {beside}{CONFIG_FILE}. The repository has none")
        for whole, index, ending in WEIGHT_FORMS:
            self._fetch([beside + whole], bar=True)
            if (folder / path / whole).is_file():
                return folder
            if (folder / path / index).is_file():
                shards = self._shards(folder / path / index, ending)
                self._fetch([beside + shard for shard in shards], bar=True)
                missing = next((shard for shard in shards if not (folder / path / shard).is_file()), None)
                if missing is not None:
                    raise HubError(f"{self.name}: {index} names {missing}. The repository has no such file")
                return folder
        raise HubError(
            f"{self.name}: expected {' or '.join(whole for whole, _, _ in WEIGHT_FORMS)}. The repository has neither"
        )

    def _download_adapter(self, folder: Path) -> Path:
        """Downloads the weights of an adapter, and returns the folder. The base model has a repository of its own."""
        names = (ADAPTER_WEIGHTS_FILE, ADAPTER_TORCH_FILE, ADAPTER_HUB_WEIGHTS_FILE, ADAPTER_HUB_TORCH_FILE)
        for name in names:
            self._fetch([name], bar=True)
            if (folder / name).is_file():
                if name in (ADAPTER_HUB_WEIGHTS_FILE, ADAPTER_HUB_TORCH_FILE):
                    self._fetch([HEAD_WEIGHTS_FILE, HEAD_TORCH_FILE])
                return folder
        raise HubError(f"{self.name}: expected one of {', '.join(names)}. The repository has none")

    def _shards(self, index: Path, ending: str) -> list[str]:
        values = files.read_json(index, HubError)
        names = values.get("weight_map", {}).values() if isinstance(values, dict) else ()
        shards = sorted({str(shard) for shard in names})
        for shard in shards:
            if not re.fullmatch(r"[\w][\w.-]*" + re.escape(ending), shard):
                raise HubError(f"{self.name}: {index.name} must name {ending} files beside it. Received: {shard}")
        return shards

    def _fetch(self, names: list[str], *, bar: bool = False) -> Path:
        """Downloads files that exist in the repository and are not in the cache; returns the folder in the cache.

        Args:
            names: The names of the files. They are used as patterns, so they have no characters with a special meaning.
            bar: Whether a progress bar is shown if standard error is a terminal.
        """
        import huggingface_hub
        from huggingface_hub import errors
        from huggingface_hub.utils import tqdm

        class NoBar(tqdm):
            """huggingface_hub's progress bar, turned off."""

            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options | {"disable": True})

        try:
            with quiet_logger("huggingface_hub"):  # it warns if the repository has none of the files
                return Path(
                    huggingface_hub.snapshot_download(
                        self.repository,
                        revision=self.revision,
                        endpoint=self._endpoint,
                        cache_dir=self._cache,
                        allow_patterns=names,
                        tqdm_class=None if bar and sys.stderr.isatty() else NoBar,
                    )
                )
        except errors.HFValidationError as problem:
            raise UsageError(f"{self.name}: {_first_line(problem)}") from None
        # The HTTP library raises its own errors, and which library it is depends on the version of huggingface_hub.
        except Exception as problem:
            # A failed request is raised directly, or is the cause of a LocalEntryNotFoundError.
            cause = problem.__cause__ if isinstance(problem, errors.LocalEntryNotFoundError) else None
            reason = self._reason(cause if isinstance(cause, errors.HfHubHTTPError) else problem)
        raise HubError(f"{self.name}: {reason}")

    def _reason(self, problem: BaseException) -> str:
        """Returns the reason why the download failed, and the way out."""
        from huggingface_hub import errors

        if isinstance(problem, errors.GatedRepoError):
            return "its owner must let you in: accept its terms on the hub, and log in with `hf auth login`"
        if isinstance(problem, errors.RevisionNotFoundError):
            return f"the repository has no revision {self.revision}"
        if isinstance(problem, errors.RepositoryNotFoundError):
            return "the hub has no such repository, or it is private: check the name, or log in with `hf auth login`"
        if isinstance(problem, errors.HfHubHTTPError):
            status = getattr(problem.response, "status_code", None)
            return f"the hub answered with status {status}; try again later"
        if isinstance(problem, errors.LocalEntryNotFoundError):
            return (
                "the hub cannot be reached and the model is not in the cache: connect to the internet, or copy its "
                "folder here and name that"
            )
        return f"the download failed ({_first_line(problem)})"


def _first_line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]

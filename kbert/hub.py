"""Models of the Hugging Face Hub by name: "hf://owner/name", or "hf://owner/name@revision".

Only text and safetensors are downloaded. Pickles can run any code, so they never are.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from kbert.errors import HubError, UsageError
from kbert.files import PathLike

PREFIX = "hf://"
FILES = (
    "config.json",
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "kbert.json",
    "README.md",
)
"""What is downloaded of a repository, from its top folder."""
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")


def is_hub_name(source: PathLike) -> bool:
    """Whether a source is on the hub and not on this machine."""
    return isinstance(source, str) and source.startswith(PREFIX)


def resolve(source: PathLike) -> Path:
    """The folder of a model: downloaded, or found in the hub's cache, where it has a hub name; else the path itself.

    The address of the hub, its cache and its token come from huggingface_hub's own settings (HF_ENDPOINT, HF_HOME,
    HF_TOKEN, HF_HUB_OFFLINE).

    Raises:
        UsageError: The name cannot be one of the hub, or huggingface_hub is not installed.
        HubError: The hub cannot be reached and the model is not in the cache, or it has no such model, or the model is
            not open to everybody, or it has no safetensors.
    """
    if not is_hub_name(source):
        return Path(source)
    name = os.fspath(source)
    if not _NAME.fullmatch(name.removeprefix(PREFIX)):
        raise UsageError(f"expected {PREFIX}owner/name or {PREFIX}owner/name@revision. Received: {name}")
    repository, _, revision = name.removeprefix(PREFIX).partition("@")
    folder = _download(name, repository, revision or None)
    _check(name, folder)
    return folder


def _download(name: str, repository: str, revision: str | None) -> Path:
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError:
        raise UsageError(f"{name} is on the Hugging Face Hub, which needs: pip install 'kbert[hub]'") from None
    try:
        return Path(
            huggingface_hub.snapshot_download(
                repository, revision=revision, allow_patterns=list(FILES), ignore_patterns=["*/*"]
            )
        )
    except errors.GatedRepoError:
        reason = "its owner must let you in: accept its terms on the hub, and log in with `hf auth login`"
    except errors.RevisionNotFoundError:
        reason = f"the repository has no revision {revision}"
    except errors.RepositoryNotFoundError:
        reason = "the hub has no such repository, or it is private: check the name, or log in with `hf auth login`"
    except errors.LocalEntryNotFoundError:
        reason = (
            "the hub cannot be reached and the model is not in the cache: connect to the internet, or copy its folder "
            "here and name that"
        )
    except errors.HfHubHTTPError as problem:
        reason = f"the hub answered {problem.response.status_code} {problem.response.reason_phrase}"
    except errors.HFValidationError as problem:
        raise UsageError(f"{name}: {_first_line(problem)}") from None
    except (OSError, _network_errors()) as problem:
        reason = f"the download failed ({_first_line(problem)})"
    raise HubError(f"{name}: {reason}")


def _network_errors() -> Any:
    import httpx

    return httpx.HTTPError


def _check(name: str, folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise HubError(f"{name}: expected a model with config.json. The repository has none")
    if not any(folder.glob("*.safetensors")):
        raise HubError(
            f"{name}: the repository has no safetensors; weights in pytorch_model.bin are a pickle, which can run any "
            "code, and are not downloaded: look for a revision with safetensors, or for another copy of the model"
        )


def _first_line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]

"""Where the server learns which models to serve: a folder, a base path, or a file that lists models."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from kbert.errors import ServingError
from kbert.files import PathLike
from kbert.serving.served_models.model_config import ModelConfig, read_model_config
from kbert.serving.served_models.model_folders import LAYOUT, found_models, is_model_folder

_LOGGER = logging.getLogger("kbert.serving")


class FolderSource:
    """The models in a folder, which may change.

    Args:
        folder: The folder that holds NAME/VERSION/saved_model.pb, or a folder NAME that holds versions.

    Raises:
        ServingError: The folder is missing, cannot be read or holds no model.
    """

    def __init__(self, folder: PathLike) -> None:
        # abspath(), so that `.` has a name; not resolve(), so that a link keeps its own name.
        self._folder = Path(os.path.abspath(folder))
        if not self._folder.is_dir():
            raise ServingError(
                f"expected a folder that holds {LAYOUT}. Received: {self._folder}, which is not a folder"
            )
        try:
            self._is_one_model = is_model_folder(self._folder)
            found = self()
        except OSError as problem:
            raise ServingError(f"expected a folder that can be read. Received: {self._folder} ({problem})") from None
        if not found:
            raise ServingError(
                f"expected a folder that holds {LAYOUT}. Received: {self._folder}, which has no such file"
            )

    def __call__(self) -> Sequence[ModelConfig]:
        """Returns the models that the folder holds now.

        Raises:
            OSError: The folder cannot be read.
        """
        return found_models(self._folder, is_one_model=self._is_one_model)


class ConfigFileSource:
    """The models of a file, which is read again from time to time.

    Args:
        path: A text file with the message ModelServerConfig of TensorFlow Serving.
        poll_seconds: The seconds after which the file is read again; 0 to read it once.

    Raises:
        ServingError: The file cannot be read, or is invalid.
    """

    def __init__(self, path: PathLike, poll_seconds: float) -> None:
        self._path = path
        self._poll_seconds = poll_seconds
        self._configs = read_model_config(path)
        self._read_at = time.monotonic()

    def __call__(self) -> Sequence[ModelConfig]:
        """Returns the models of the file. While the file is invalid, these are the models of the last valid one."""
        if self._poll_seconds > 0 and time.monotonic() - self._read_at >= self._poll_seconds:
            self._read_at = time.monotonic()
            try:
                self._configs = read_model_config(self._path)
            except ServingError as problem:
                _LOGGER.warning("the models are served as before: %s", problem)
        return self._configs


def one_model(name: str, base_path: PathLike) -> Sequence[ModelConfig]:
    """Returns the only model of a server, as TensorFlow Serving's flags --model_name and --model_base_path name it."""
    return [ModelConfig(name, Path(os.path.abspath(base_path)))]

"""Reads public datasets by name: `tfds:NAME` (extra `tfds`) and `hf-datasets:NAME` (extra `datasets`)."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

from kbert.errors import DataError, KbertError, UsageError
from kbert.runtime.held_output import quiet_logger
from kbert.sources.document import Document, Reading
from kbert.sources.json_lines import field_text

PREFIXES = ("tfds:", "hf-datasets:")

_SPLITS = ("train", "validation", "test")
_COLON = re.compile(r":(?![^\[]*\])")  # not within "train[:10%]"


def is_named_dataset(name: str | os.PathLike[str]) -> bool:
    """Returns whether an input names a dataset rather than files."""
    return os.fspath(name).startswith(PREFIXES)


def read_named_dataset(name: str, reading: Reading) -> Iterator[Document]:
    """Yields the rows of a dataset as documents, in the order of the dataset.

    Args:
        name: `tfds:NAME[/CONFIG][:SPLIT]`, which tensorflow-datasets downloads if necessary, or
            `hf-datasets:OWNER/NAME[:CONFIG][:SPLIT]`, which is streamed from the Hugging Face hub. The default split is
            "train".
        reading: The settings for reading documents. `text_field` names the feature with the text, or is its 1-based
            number.

    Raises:
        UsageError: The library is not installed, or the name is invalid.
        DataError: The dataset, configuration or split does not exist, or the field is missing or not text.
    """
    field = reading.text_field
    for number, row in enumerate(read_rows(name), start=1):
        if number == 1 and field not in row and field.isdecimal() and 1 <= int(field) <= len(row):
            field = list(row)[int(field) - 1]
        try:
            text = field_text(row, field, name, number)
        except DataError as problem:
            reading.bad_row(problem)
            continue
        document = reading.document(text, name, number)
        if document:
            yield document


def read_rows(name: str) -> Iterator[dict[str, Any]]:
    """Yields the rows of a dataset with all features, in the order of the dataset.

    In rows of the Hugging Face hub, the names of classes replace their numbers.

    Raises:
        UsageError: The library is not installed, or the name is invalid.
        DataError: The dataset, configuration or split does not exist.
    """
    return _tfds_rows(name) if name.startswith("tfds:") else _hugging_face_rows(name)


def check_named_dataset(name: str) -> None:
    """Checks, before any work, that the name of a dataset is valid and its library is installed.

    Raises:
        UsageError: The name is invalid, or the library is not installed.
    """
    if name.startswith("tfds:"):
        _split_tfds_name(name)
        _import("tensorflow_datasets", name, "tfds")
    else:
        _split_hugging_face_name(name)
        _import("datasets", name, "datasets")


def _split_tfds_name(name: str) -> tuple[str, str]:
    dataset, _, split = name.removeprefix("tfds:").partition(":")
    if not dataset:
        raise UsageError(f"expected tfds:NAME[/CONFIG][:SPLIT]. Received: {name}")
    return dataset, split or "train"


def _split_hugging_face_name(name: str) -> tuple[str, str | None, str]:
    """Returns (name, configuration, split). A single part after the name is the split if it is one of _SPLITS."""
    dataset, *parts = _COLON.split(name.removeprefix("hf-datasets:"))
    if not dataset or len(parts) > 2:
        raise UsageError(f"expected hf-datasets:OWNER/NAME[:CONFIG][:SPLIT]. Received: {name}")
    if len(parts) == 1 and parts[0].partition("[")[0] in _SPLITS:
        parts = ["", parts[0]]
    config, split = (*parts, "", "")[:2]
    return dataset, config or None, split or "train"


def _tfds_rows(name: str) -> Iterator[dict[str, Any]]:
    dataset, split = _split_tfds_name(name)
    tfds = _import("tensorflow_datasets", name, "tfds")
    with _one_line(name):
        builder = tfds.builder(dataset)
        builder.download_and_prepare()
        # Files are read one after the other, so that the order of the examples does not depend on threads.
        read_config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        rows = iter(tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False, read_config=read_config)))
    yield from _guarded(rows, name)


def _hugging_face_rows(name: str) -> Iterator[dict[str, Any]]:
    dataset, config, split = _split_hugging_face_name(name)
    datasets = _import("datasets", name, "datasets")
    with _one_line(name):
        loaded = datasets.load_dataset(dataset, config, split=split, streaming=True)
        names = _class_names(loaded.features or {})
        rows = iter(loaded)
    for row in _guarded(rows, name):
        yield {column: _named(value, names[column]) if column in names else value for column, value in row.items()}


def _class_names(features: Any) -> dict[str, list[str]]:
    """Returns the names of the classes for each feature that is a class or a list of classes."""
    found = {}
    for column, feature in features.items():
        inner = feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", feature)
        if isinstance(getattr(inner, "names", None), list):
            found[column] = inner.names
    return found


def _named(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return None if value == -1 else value  # -1 marks the labels of splits whose labels are not public


def _guarded(rows: Iterator[dict[str, Any]], name: str) -> Iterator[dict[str, Any]]:
    while True:
        with _one_line(name):
            row = next(rows, None)
        if row is None:
            return
        yield row


@contextlib.contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Converts exceptions of a library (for a wrong name, or without a network) to a DataError of one line."""
    try:
        # huggingface_hub logs each failed attempt; the error message reports the last one.
        with quiet_logger("huggingface_hub"):
            yield
    except KbertError:
        raise
    except Exception as problem:
        said = next((line.strip() for line in str(problem).splitlines() if line.strip()), type(problem).__name__)
        raise DataError(f"reading the dataset failed: {said[:300]}", name) from problem


def _import(module: str, name: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as problem:
        if problem.name != module:
            raise UsageError(f"{name}: importing {module} failed: {problem}") from None
        package = module.replace("_", "-")
        raise UsageError(f"{name}: reading it needs {package}: pip install 'kbert[{extra}]'") from None

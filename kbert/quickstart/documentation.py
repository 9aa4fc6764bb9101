"""Real English that needs no download: the documentation inside installed Python packages."""

from __future__ import annotations

import ast
import concurrent.futures
import hashlib
import importlib.util
import inspect
import multiprocessing
import os
import re
import sysconfig
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

LIBRARIES = ("keras", "numpy", "python", "tensorflow")
"""The libraries whose documentation is read; "python" is the standard library."""

_SKIPPED_FOLDERS = frozenset(
    (
        "__pycache__",
        "site-packages",
        "dist-packages",
        "test",
        "tests",
        "idlelib",
        "lib2to3",
        "_api",
        "testing",
    )
)
_SHORTEST = 40
"""The smallest number of characters of a docstring; shorter ones say too little."""
_FILES_AT_ONCE = 64


class Docstring(NamedTuple):
    """One docstring.

    Args:
        library: The name of the library, one of LIBRARIES.
        module: The file, relative to the folder of the library.
        text: The paragraphs of the docstring, one on each line.
    """

    library: str
    module: str
    text: str


def read_documentation(workers: int = 1) -> list[Docstring]:
    """Reads the docstrings of all libraries, from source files, without importing any; each text once.

    Args:
        workers: The number of processes.

    Returns:
        Docstrings in the order of libraries, files and lines: the same for the same installation.
    """
    files = [(library, root, path) for library, root in _roots() for path in _source_files(root)]
    batches = [files[start : start + _FILES_AT_ONCE] for start in range(0, len(files), _FILES_AT_ONCE)]
    if workers > 1:
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
            found = list(pool.map(_read_files, batches))
    else:
        found = list(map(_read_files, batches))
    seen: set[bytes] = set()
    unique = []
    for docstring in (docstring for batch in found for docstring in batch):
        digest = hashlib.sha256(docstring.text.lower().encode("utf-8", "replace")).digest()
        if digest not in seen:
            seen.add(digest)
            unique.append(docstring)
    return unique


def _roots() -> list[tuple[str, Path]]:
    roots = []
    for library in LIBRARIES:
        if library == "python":
            roots.append((library, Path(sysconfig.get_paths()["stdlib"])))
            continue
        found = importlib.util.find_spec(library)
        if found and found.submodule_search_locations:
            roots.append((library, Path(found.submodule_search_locations[0])))
    return roots


def _source_files(root: Path) -> list[Path]:
    paths = []
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in _SKIPPED_FOLDERS]
        paths += [Path(folder, file) for file in files if file.endswith(".py") and not file.endswith("_test.py")]
    return sorted(paths)


def _read_files(files: Iterable[tuple[str, Path, Path]]) -> list[Docstring]:
    docstrings = []
    for library, root, path in files:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about escapes in other people's strings
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue  # templates and tests of broken syntax are not documentation
        module = path.relative_to(root).as_posix()
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node, clean=False)
                if text and len(text := _unwrap(text)) >= _SHORTEST:
                    docstrings.append(Docstring(library, module, text))
    return docstrings


def _unwrap(text: str) -> str:
    """Puts each paragraph on one line, so that sentences that were wrapped are whole again."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text))
    lines = (" ".join(paragraph.split()) for paragraph in paragraphs)
    return "\n".join(line for line in lines if any(map(str.isalpha, line)))

"""The pages about the Python API: every name of `kbert.__all__`, grouped by what it is for.

mkdocstrings reads the docstrings in the source. It does not see the options of functions, which are added when kbert is
imported, so this module writes them as tables.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Sequence

import kbert
from kbert.options import Options, option_infos
from kbert.options.option_info import REQUIRED, OptionInfo

FOLDER = "api"
_GROUPS: Sequence[tuple[str, str, tuple[str, ...]]] = (
    ("text", "Texts and vocabularies", ("kbert.text",)),
    ("corpus", "Corpora", ("kbert.corpus", "kbert.sources")),
    ("training", "Training", ("kbert.training",)),
    ("prediction", "Prediction and evaluation", ("kbert.prediction",)),
    ("models", "Models, layers and folders", ("kbert.pretrained", "kbert.config", "kbert.model_folder")),
    ("optimizers", "Optimizers", ("kbert.optimizers",)),
    ("conversion", "Conversion", ("kbert.conversion",)),
    ("search", "Search", ("kbert.retrieval",)),
    ("export", "Export and LiteRT", ("kbert.export", "kbert.inference")),
    ("serving", "Serving", ("kbert.serving",)),
)
_OTHER = ("other", "Reports, settings and errors")
_ABOUT_OPTIONS = (
    "Where a function has the parameter `options`, the fields of that class are keywords of the function, such as "
    "`kbert.finetune(..., epochs=3)`. An object of the class may be given instead, or as well."
)


@functools.lru_cache(maxsize=1)
def api_pages() -> dict[str, str]:
    """Returns the text of each page by its path. Together they have every name of `kbert.__all__` once."""
    pages: dict[str, list[str]] = {key: [f"# {title}", ""] for key, title in (*(g[:2] for g in _GROUPS), _OTHER)}
    for name in sorted(kbert.__all__, key=str.lower):
        if not name.startswith("__"):
            pages[_group(kbert._MODULES[name])] += _described(name)
    for lines in pages.values():
        if any(line.endswith("Options") for line in lines):
            lines[2:2] = [_ABOUT_OPTIONS, ""]
    return {f"{FOLDER}/{key}.md": "\n".join(lines) + "\n" for key, lines in pages.items()}


def _group(module: str) -> str:
    for key, _, folders in _GROUPS:
        if any(module == folder or module.startswith(f"{folder}.") for folder in folders):
            return key
    return _OTHER[0]


def _described(name: str) -> Iterator[str]:
    """Yields the lines about a name."""
    if not name.endswith("Options"):
        yield f"::: kbert.{name}"
        yield ""
        return
    kind = getattr(kbert, name)
    assert issubclass(kind, Options), name
    yield f"## {name}"
    yield ""
    yield inspect.cleandoc(kind.__doc__ or "").partition("\nArgs:")[0].strip()
    yield ""
    yield "| option | default | meaning |"
    yield "|---|---|---|"
    yield from map(_row, option_infos(kind).values())
    yield ""


def _row(info: OptionInfo) -> str:
    """Returns the row of the table for an option."""
    default = "required" if info.default is REQUIRED else info.default_help or f"`{info.default!r}`"
    meaning = " ".join(part for part in (info.help, info.details) if part)
    if len(info.choices) > 1:
        meaning += f" One of {', '.join(f'`{choice}`' for choice in info.choices)}."
    return f"| `{info.name}` | {_cell(default)} | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

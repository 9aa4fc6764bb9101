"""The description of an option: what its name, help, default, type and constraints are."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import os
import types
import typing
from collections.abc import Callable
from typing import Any


class Required(enum.Enum):
    """The type of `REQUIRED`, the marker of an option without a default."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED


@dataclasses.dataclass(frozen=True)
class OptionInfo:
    """The description of an option.

    Args:
        name: The keyword in Python.
        help: The help text, one or two sentences. It names other options by their keywords, in `backticks`.
        details: Further sentences that only the Python documentation shows.
        default: The default; REQUIRED if the option is required.
        default_help: A phrase that describes the default, if the default is None and depends on other things.
        annotation: The type of the value.
        section: The heading under which the help of the command lists the option.
        choices: The valid values, if there are only a few.
        minimum: The smallest valid number.
        above: The exclusive lower bound of a number.
        maximum: The largest valid number.
        below: The exclusive upper bound of a number.
        expected: A phrase that describes the values that `valid` accepts.
        valid: A function that returns whether a value of the right type is valid.
        path: The kind of path, if the value is a path: "file" (also the sheet of a workbook, or a dataset by name),
            "folder", "data" (as "file", or a folder), "model" (a folder, or a model of the Hugging Face Hub) or
            "vocabulary" (a vocab.txt, a tokenizer.json, or a folder with a tokenizer) for paths that must exist;
            "output" for a path to write, "output-file" for one that is no folder, and "output-folder" for one that is
            no file.
        flag: The spelling on the command line, if it does not follow from the name.
        off_flag: The spelling that sets the option to False, if it is not "--no-" and the name.
        metavar: The placeholder for the value in the help of the command.
        command: Whether the command line has the option.
        remembered: Whether run.json records the option.
        free: Whether the value may differ when a run is resumed.
        reading: Whether the option describes the format of a data file, so that it may differ between files.
    """

    name: str
    help: str = ""
    details: str = ""
    default: Any = REQUIRED
    default_help: str = ""
    annotation: Any = Any
    section: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    below: float | None = None
    expected: str = ""
    valid: Callable[[Any], bool] | None = None
    path: str = ""
    flag: str = ""
    off_flag: str = ""
    metavar: str = ""
    command: bool = True
    remembered: bool = True
    free: bool = False
    reading: bool = False

    @property
    def required(self) -> bool:
        """Whether the option has no default."""
        return self.default is REQUIRED

    @property
    def spelling(self) -> str:
        """The spelling on the command line, such as "--batch-size"."""
        return self.flag or f"--{self._words}"

    @property
    def off_spelling(self) -> str:
        """The spelling on the command line that sets the option to False, such as "--no-bias-correction"."""
        return self.off_flag or f"--no-{self._words}"

    @property
    def _words(self) -> str:
        # The names of some options end with "_", since the word is a keyword of Python.
        return self.name.strip("_").replace("_", "-")

    @property
    def types(self) -> tuple[Any, ...]:
        """The types of the value, without None."""
        return tuple(kind for kind in self.members if kind is not types.NoneType)

    @property
    def members(self) -> tuple[Any, ...]:
        """The types of the value, with the type of None if None is a value."""
        return _flattened(self.annotation)

    @property
    def kind(self) -> type | None:
        """The type of the value: int, float, bool, str, or `tuple` for a pair of numbers; None for any other type."""
        names = [typing.get_origin(kind) or kind for kind in self.types]
        return next((kind for kind in (bool, int, float, tuple, str) if kind in names), None)

    @property
    def multiple(self) -> bool:
        """Whether the option can be given several times on the command line."""
        return any(typing.get_origin(kind) is collections.abc.Sequence for kind in self.types)

    @property
    def element_kind(self) -> type | None:
        """The type of each value of an option that can be given several times, such as int; None for other options."""
        return next((typing.get_args(kind)[0] for kind in self.types if typing.get_args(kind)), None)

    @property
    def bounds(self) -> str:
        """The bounds as a phrase, such as "above 0 and at most 1"."""
        if self.minimum is not None and self.maximum is not None:
            return f"from {self.minimum:g} to {self.maximum:g}"
        words = {"at least": self.minimum, "above": self.above, "at most": self.maximum, "below": self.below}
        return " and ".join(f"{word} {bound:g}" for word, bound in words.items() if bound is not None)


def as_typed(info: OptionInfo, value: Any) -> str:
    """Returns an option with its value, as it is written on the command line.

    Example:
        >>> as_typed(OptionInfo("batch_size"), 32), as_typed(OptionInfo("cased"), False)
        ('--batch-size 32', 'no --cased')
    """
    if value is True:
        return info.spelling
    if value is None or (value is False and info.default is False) or (isinstance(value, (list, tuple)) and not value):
        return f"no {info.spelling}"
    if value is False:
        return info.off_spelling if info.default in (True, None) else f"no {info.spelling}"
    if isinstance(value, (list, tuple)):
        if info.multiple or any(isinstance(each, (list, tuple)) for each in value):
            return " ".join(as_typed(dataclasses.replace(info, annotation=Any), each) for each in value)
        return f"{info.spelling} {':'.join(map(str, value))}"
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else f"{value}"
    return f"{info.spelling} {text if len(text) <= 100 else text[:100] + '…'}"


def as_json(value: Any) -> Any:
    """Returns a value as JSON: paths become strings, and tuples lists."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    return value


def _flattened(annotation: Any) -> tuple[Any, ...]:
    """Returns the members of a union, or the annotation itself if it is not a union."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(each for member in typing.get_args(annotation) for each in _flattened(member))
    return (annotation,)

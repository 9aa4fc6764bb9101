"""Options that are declared once, as the fields of a frozen dataclass with a help text, a default and constraints.

Everything else is derived from the field: the keyword of the Python function and its line in the docstring
(`with_options`), the validation of values (`Options`), the option of the command line with its help
(`kbert.cli.options`), and the record in run.json (`Options.remembered`). For example:

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class WalkOptions(Options):
        steps: int = option(10, "The number of steps.", minimum=1)

    @with_options(WalkOptions)
    def walk(options: WalkOptions) -> None: ...

    walk(steps=3)
    walk(options=WalkOptions(steps=3))
"""

from __future__ import annotations

import collections.abc
import dataclasses
import difflib
import enum
import functools
import inspect
import math
import numbers
import os
import re
import textwrap
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar

from kbert.errors import UsageError, shown

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
OptionsType = TypeVar("OptionsType", bound="Options")

_KEY = "option"


class Required(enum.Enum):
    """The type of `REQUIRED`, the marker of an option without a default."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED
_NUMBER_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}
_WIDTH = 120


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
        path: The kind of path, if the value is a path: "file", "folder" or "vocabulary" (a vocab.txt or a folder with a
            tokenizer) for paths that must exist, "output" for a new folder.
        flag: The spelling on the command line, if it does not follow from the name.
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
        return self.flag or f"--{self.name.replace('_', '-')}"

    @property
    def types(self) -> tuple[Any, ...]:
        """The types of the value, without None."""
        return tuple(kind for kind in _flattened(self.annotation) if kind is not types.NoneType)

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
    def bounds(self) -> str:
        """The bounds as a phrase, such as "above 0 and at most 1"."""
        if self.minimum is not None and self.maximum is not None:
            return f"from {self.minimum:g} to {self.maximum:g}"
        words = {"at least": self.minimum, "above": self.above, "at most": self.maximum, "below": self.below}
        return " and ".join(f"{word} {bound:g}" for word, bound in words.items() if bound is not None)

    def checked(self, value: Any) -> Any:
        """Returns the value if it is valid, with NumPy numbers converted to Python numbers.

        Raises:
            OptionError: The value is invalid.
        """
        if value is None and types.NoneType in _flattened(self.annotation):
            return None
        expected = self._type_problem(value) or self._value_problem(value)
        if expected is not None:
            raise invalid(self, f"must be {expected}", value)
        return _plain(value, self.kind)

    def _type_problem(self, value: Any) -> str | None:
        """Returns a phrase for the expected values if the value has a wrong type, otherwise None."""
        kind = self.kind
        if Any in self.types or kind is None or self.multiple:
            return None
        if kind is tuple:
            whole = isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_whole, value))
            return None if whole else f"two whole numbers, {self.metavar or '(FIRST, SECOND)'}"
        right = {
            bool: lambda: isinstance(value, bool),
            int: lambda: _is_whole(value),
            float: lambda: isinstance(value, numbers.Real) and not isinstance(value, bool),
            str: lambda: isinstance(value, str) or (os.PathLike in self._origins() and isinstance(value, os.PathLike)),
        }
        if right[kind]():
            return None
        return f"one of {', '.join(self.choices)}" if self.choices else _NUMBER_WORDS[kind]

    def _value_problem(self, value: Any) -> str | None:
        """Returns a phrase for the expected values if the value has the right type but is invalid, otherwise None."""
        if self.choices and value not in self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.kind in (int, float) and not (
            math.isfinite(value)
            and (self.minimum is None or value >= self.minimum)
            and (self.above is None or value > self.above)
            and (self.maximum is None or value <= self.maximum)
            and (self.below is None or value < self.below)
        ):
            return self.bounds or "a finite number"
        return None if self.valid is None or self.valid(value) else self.expected

    def _origins(self) -> list[Any]:
        return [typing.get_origin(kind) or kind for kind in self.types]


def option(default: Any = REQUIRED, help: str = "", **settings: Any) -> Any:
    """Declares a field of an `Options` class.

    Args:
        default: The default; REQUIRED makes the option required.
        help: The help text of the option.
        settings: Further fields of `OptionInfo`.
    """
    default = dataclasses.MISSING if default is REQUIRED else default
    return dataclasses.field(default=default, metadata={_KEY: {"help": help, **settings}})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The base class of the options of a command. The constructor checks all values.

    Raises:
        OptionError: A value is invalid.
    """

    def __post_init__(self) -> None:
        for name, info in option_infos(type(self)).items():
            value = info.checked(getattr(self, name))
            if value is not getattr(self, name):
                object.__setattr__(self, name, value)

    def remembered(self) -> dict[str, Any]:
        """Returns the options that run.json records, as JSON: paths become strings, and tuples lists."""
        infos = option_infos(type(self))
        return {name: as_json(getattr(self, name)) for name, info in infos.items() if info.remembered}

    def narrowed(self, kind: type[OptionsType]) -> OptionsType:
        """Returns an object of a parent class with the values of this object."""
        return kind(**{name: getattr(self, name) for name in option_infos(kind)})

    def replace(self: OptionsType, **changes: Any) -> OptionsType:
        """Returns a copy with some values changed. The new values are checked."""
        return dataclasses.replace(self, **changes)


def option_infos(options: type[Options]) -> Mapping[str, OptionInfo]:
    """Returns the options of a class by name, in the order of the fields."""
    hints = typing.get_type_hints(options)
    return {
        field.name: OptionInfo(
            field.name,
            default=REQUIRED if field.default is dataclasses.MISSING else field.default,
            annotation=hints[field.name],
            **field.metadata.get(_KEY, {}),
        )
        for field in dataclasses.fields(options)
    }


def free_options(options: type[Options]) -> list[str]:
    """Returns the names of the options that may differ when a run is resumed."""
    return [name for name, info in option_infos(options).items() if info.free]


def as_json(value: Any) -> Any:
    """Returns a value as JSON: paths become strings, and tuples lists."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    return value


# === Errors ===


class Spell(Protocol):
    """A function that spells an option, or an option with its value, as users write it."""

    def __call__(self, name: str, value: Any = REQUIRED, /) -> str:
        """Returns `batch_size` or `batch_size=32` (Python), `--batch-size` or `--batch-size 32` (command line)."""


class OptionError(UsageError):
    """An option is invalid. The message spells it as in Python; the command line prints `command_line_message`.

    Args:
        message: The message for Python.
        command_line_message: The same message, with options spelled as on the command line.
    """

    def __init__(self, message: str, command_line_message: str) -> None:
        super().__init__(message)
        self.command_line_message = command_line_message


def option_error(write: Callable[[Spell], str], infos: Mapping[str, OptionInfo] | None = None) -> OptionError:
    """Returns an error whose message spells options as in Python or as on the command line.

    Args:
        write: Returns the message, given a function that spells options.
        infos: The options whose spelling does not follow from their names.

    Example:
        >>> error = option_error(lambda spell: f"{spell('steps')} must be odd. Received: {spell('steps', 4)}")
        >>> str(error)
        'steps must be odd. Received: steps=4'
        >>> error.command_line_message
        '--steps must be odd. Received: --steps 4'
    """
    known = infos or {}

    def typed(name: str, value: Any = REQUIRED, /) -> str:
        info = known.get(name) or OptionInfo(name)
        return info.spelling if value is REQUIRED else as_typed(info, value)

    return OptionError(write(_in_python), write(typed))


def invalid(info: OptionInfo, problem: str, value: Any) -> OptionError:
    """Returns the error for an option with an invalid value."""
    return option_error(
        lambda spell: f"{spell(info.name)} {problem}. Received: {spell(info.name, value)}", {info.name: info}
    )


def check_option(options: type[Options], name: str, value: Any) -> Any:
    """Returns the value if it is valid for the option `name` of the class `options`.

    Raises:
        OptionError: The value is invalid.
    """
    return option_infos(options)[name].checked(value)


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
        return f"--no-{info.name.replace('_', '-')}" if info.default in (True, None) else f"no {info.spelling}"
    if isinstance(value, (list, tuple)):
        if info.multiple or any(isinstance(each, (list, tuple)) for each in value):
            return " ".join(as_typed(dataclasses.replace(info, annotation=Any), each) for each in value)
        return f"{info.spelling} {':'.join(map(str, value))}"
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else f"{value}"
    return f"{info.spelling} {text if len(text) <= 100 else text[:100] + '…'}"


def _in_python(name: str, value: Any = REQUIRED, /) -> str:
    return name if value is REQUIRED else f"{name}={shown(as_json(value))}"


def refuse_unknown(function: str, given: Iterable[str], known: Collection[str]) -> None:
    """Checks that all keywords of a function are known.

    Raises:
        UsageError: A keyword is unknown. The message names the most similar option.
    """
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(known)}"
            raise UsageError(f"{function} has no option {name!r}{hint}")


# === Functions ===


class OptionFunction(Protocol[P, R]):
    """A function that has the fields of an `Options` class as keywords."""

    @typing.overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @typing.overload
    def __call__(self, *args: Any, **kwargs: Any) -> R: ...


def with_options(options: Callable[P, Any]) -> Callable[[Callable[..., R]], OptionFunction[P, R]]:
    """Adds the fields of an `Options` class to the keywords, the signature and the docstring of a function.

    The decorated function receives the options as one object, `options`. Callers pass keywords, or an object as
    `options`, or both; keywords then override the fields of the object. If the function has a parameter `given`, it
    receives the names of the options that the caller set: the keywords, and the fields of the object that differ from
    the default. If the function has a `**parameter`, it receives all other keywords, and must check them itself.

    Args:
        options: A subclass of `Options`.
    """
    kind = typing.cast("type[Options]", options)

    def decorate(function: Callable[..., R]) -> OptionFunction[P, R]:
        own = inspect.signature(function).parameters
        takes_more = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in own.values())
        infos = option_infos(kind)
        public = [name for name in own if name != "given"]

        @functools.wraps(function)
        def call(*args: Any, **keywords: Any) -> R:
            base = keywords.pop("options", None)
            given = {name: keywords.pop(name) for name in list(keywords) if name in infos}
            if not takes_more:
                refuse_unknown(function.__name__, keywords, [*public, *infos])
            built = _collected(function.__name__, kind, base, given)
            if "given" in own:
                keywords["given"] = frozenset({*given, *changed_options(base)})
            return function(*args, options=built, **keywords)

        call.__signature__ = _signature(function, kind)  # type: ignore[attr-defined]
        call.__doc__ = _documented(inspect.getdoc(function) or "", infos)
        return typing.cast("OptionFunction[P, R]", call)

    return decorate


def changed_options(options: Options | None) -> list[str]:
    """Returns the names of the options whose values are not the default."""
    infos = {} if options is None else option_infos(type(options))
    return [name for name, info in infos.items() if info.required or _differs(getattr(options, name), info.default)]


def _differs(value: Any, default: Any) -> bool:
    """Returns whether a value is not the default.

    The comparison with None uses `is`, since data frames have no truth value for `!=`.
    """
    return value is not None if default is None else bool(value != default)


def _collected(function: str, kind: type[Options], base: Options | None, given: Mapping[str, Any]) -> Options:
    if base is not None:
        if not issubclass(kind, type(base)) and not isinstance(base, kind):
            raise UsageError(f"options must be a {kind.__name__}. Received: a {type(base).__name__}")
        # An object of a parent class is accepted, since its fields are options of this class too.
        given = {name: getattr(base, name) for name in option_infos(type(base))} | dict(given)
    infos = option_infos(kind)
    missing = [name for name, info in infos.items() if info.required and name not in given]
    if missing:
        raise option_error(lambda spell: f"{function} needs {', '.join(spell(name) for name in missing)}", infos)
    return kind(**given)


def _signature(function: Callable[..., Any], kind: type[Options]) -> inspect.Signature:
    """Returns the signature of the function, with the options as keywords in place of `options`."""
    own = inspect.signature(function)
    first: list[inspect.Parameter] = []
    last: list[inspect.Parameter] = []
    more: list[inspect.Parameter] = []
    for parameter in own.parameters.values():
        if parameter.name in ("options", "given"):
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            more.append(parameter)
        else:
            (last if parameter.kind is inspect.Parameter.KEYWORD_ONLY else first).append(parameter)
    keyword = functools.partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
    fields = [
        keyword(
            name,
            annotation=info.annotation,
            default=inspect.Parameter.empty if info.required else info.default,
        )
        for name, info in option_infos(kind).items()
    ]
    whole = keyword("options", annotation=f"{kind.__name__} | None", default=None)
    return own.replace(parameters=[*first, *last, *fields, whole, *more])


# === Documentation ===


def with_documented_fields(kind: type[OptionsType]) -> type[OptionsType]:
    """Adds a line for each option to the docstring of an `Options` class."""
    lines = [_described(info) for info in option_infos(kind).values()]
    head, marker, tail = inspect.cleandoc(kind.__doc__ or "").partition("\nExample:")
    kind.__doc__ = "\n".join([head.rstrip(), "", "Args:", *lines]) + (f"\n{marker}{tail}" if marker else "\n")
    return kind


def _documented(docstring: str, infos: Mapping[str, OptionInfo]) -> str:
    """Returns the docstring of a function with a line for each option, before the line for `options`."""
    lines = "".join(f"{_described(info)}\n" for info in infos.values())
    docstring = re.sub(r"^    given: .*\n", "", docstring, flags=re.MULTILINE)
    before, mark, after = docstring.partition("    options: ")
    if not mark:
        raise TypeError("the docstring must have a line for `options` under Args")
    return before + lines + mark + after


def _described(info: OptionInfo) -> str:
    """Returns the docstring line of an option."""
    parts = [info.help]
    if len(info.choices) > 1:
        parts.append(_listed(info.choices))
    if info.details:
        parts.append(info.details)
    if info.default_help:
        parts.append(f"The default is {info.default_help}.")
    return textwrap.fill(
        f"{info.name}: {' '.join(parts)}",
        _WIDTH,
        initial_indent=" " * 4,
        subsequent_indent=" " * 8,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _listed(choices: Sequence[str]) -> str:
    choices = [f'"{choice}"' for choice in choices]
    return f"Either {' or '.join(choices)}." if len(choices) == 2 else f"One of {', '.join(choices)}."


def command_text(text: str, infos: Mapping[str, OptionInfo]) -> str:
    """Returns a help text in which options in backticks are spelled as on the command line."""
    return re.sub(r"`(\w+)`", lambda found: infos[found[1]].spelling if found[1] in infos else found[0], text)


def _flattened(annotation: Any) -> tuple[Any, ...]:
    """Returns the members of a union, or the annotation itself if it is not a union."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(each for member in typing.get_args(annotation) for each in _flattened(member))
    return (annotation,)


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _plain(value: Any, kind: type | None) -> Any:
    """Returns NumPy numbers as Python numbers, and pairs as tuples."""
    if kind is int:
        return int(value)
    if kind is float and not isinstance(value, (int, float)):
        return float(value)
    return tuple(int(each) for each in value) if kind is tuple else value

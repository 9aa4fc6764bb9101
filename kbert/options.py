"""Options, each declared once: a field of a frozen dataclass with its help, its default and what it may be.

From the field follow the keyword of the Python function (`with_options`), its line in the docstring, its check
(`Options`), the option of the command line with its help (kbert.cli.options), and what a run remembers
(`Options.remembered`).

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
    """The default of an option that has none."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED
_NUMBER_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}
_WIDTH = 120


@dataclasses.dataclass(frozen=True)
class OptionInfo:
    """What is known of an option.

    Args:
        name: The keyword in Python.
        help: What it does, in a sentence or two. Other options stand in `backticks`, by their keywords.
        details: Further sentences, which only the documentation in Python has.
        default: The default; REQUIRED if there is none.
        default_help: In words, what None comes to, for a default that depends on other things.
        annotation: The type of its value.
        section: The heading under which the help of the command lists it.
        choices: The only values that it takes.
        minimum: The least number.
        above: The number that it must exceed.
        maximum: The largest number.
        below: The number that it must stay under.
        expected: In words, what `valid` demands.
        valid: A check of values that have the right type.
        path: What it is the path of, if it is one that must exist: "file", "folder", or "vocabulary" (a vocab.txt, or a
            folder with a tokenizer); "output" for a new folder.
        flag: How the command line spells it, if unlike its name.
        metavar: What the help shows for its value.
        command: Whether the command line has it.
        remembered: Whether a run remembers it.
        free: Whether it may differ when a run is resumed.
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

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is REQUIRED

    @property
    def spelling(self) -> str:
        """The option on the command line, such as "--batch-size"."""
        return self.flag or f"--{self.name.replace('_', '-')}"

    @property
    def types(self) -> tuple[Any, ...]:
        """The types of its value, without None."""
        return tuple(kind for kind in _flattened(self.annotation) if kind is not types.NoneType)

    @property
    def kind(self) -> type | None:
        """int, float, bool or str, if its value is one of these; `tuple` for a pair of numbers; None for others."""
        names = [typing.get_origin(kind) or kind for kind in self.types]
        return next((kind for kind in (bool, int, float, tuple, str) if kind in names), None)

    @property
    def multiple(self) -> bool:
        """Whether it may be given several times on the command line."""
        return any(typing.get_origin(kind) is collections.abc.Sequence for kind in self.types)

    @property
    def bounds(self) -> str:
        """The bounds in words, such as "above 0 and at most 1"."""
        if self.minimum is not None and self.maximum is not None:
            return f"from {self.minimum:g} to {self.maximum:g}"
        words = {"at least": self.minimum, "above": self.above, "at most": self.maximum, "below": self.below}
        return " and ".join(f"{word} {bound:g}" for word, bound in words.items() if bound is not None)

    def checked(self, value: Any) -> Any:
        """The value, with numbers as Python has them.

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
        """In words, what was expected, if the value has the wrong type."""
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
        """In words, what was expected, if the value has the right type."""
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
        default: The default; without one the option is required.
        help: What the option does.
        settings: Further fields of `OptionInfo`.
    """
    default = dataclasses.MISSING if default is REQUIRED else default
    return dataclasses.field(default=default, metadata={_KEY: {"help": help, **settings}})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Base of the options of a command; making one checks all values.

    Raises:
        OptionError: A value is invalid.
    """

    def __post_init__(self) -> None:
        for name, info in option_infos(type(self)).items():
            value = info.checked(getattr(self, name))
            if value is not getattr(self, name):
                object.__setattr__(self, name, value)

    def remembered(self) -> dict[str, Any]:
        """The options that a run remembers, as JSON: paths are text, and tuples are lists."""
        infos = option_infos(type(self))
        return {name: as_json(getattr(self, name)) for name, info in infos.items() if info.remembered}

    def narrowed(self, kind: type[OptionsType]) -> OptionsType:
        """The options of a parent class alone."""
        return kind(**{name: getattr(self, name) for name in option_infos(kind)})

    def replace(self: OptionsType, **changes: Any) -> OptionsType:
        """A copy with other values; they are checked."""
        return dataclasses.replace(self, **changes)


def option_infos(options: type[Options]) -> Mapping[str, OptionInfo]:
    """The options of a class by name, in the order of its fields."""
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
    """The names of the options that may differ when a run is resumed."""
    return [name for name, info in option_infos(options).items() if info.free]


def as_json(value: Any) -> Any:
    """A value as JSON: paths are text, and tuples are lists."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    return value


# === Errors ===


class Spell(Protocol):
    """Writes an option, or an option with its value, as a user would."""

    def __call__(self, name: str, value: Any = REQUIRED, /) -> str:
        """`batch_size` or `batch_size=32` in Python; `--batch-size` or `--batch-size 32` on the command line."""


class OptionError(UsageError):
    """An option is invalid. The message names it as Python does; the command line prints `command_line_message`.

    Args:
        message: The message for Python.
        command_line_message: The same with options as they are typed on the command line.
    """

    def __init__(self, message: str, command_line_message: str) -> None:
        super().__init__(message)
        self.command_line_message = command_line_message


def option_error(write: Callable[[Spell], str], infos: Mapping[str, OptionInfo] | None = None) -> OptionError:
    """An error whose message names options.

    Args:
        write: Writes the message with the function that it is given.
        infos: The options that are spelled unlike their names.

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
    """The error for one option with an invalid value."""
    return option_error(
        lambda spell: f"{spell(info.name)} {problem}. Received: {spell(info.name, value)}", {info.name: info}
    )


def check_option(options: type[Options], name: str, value: Any) -> Any:
    """Checks a value as the option `name` of `options` does.

    Raises:
        OptionError: The value is invalid.
    """
    return option_infos(options)[name].checked(value)


def as_typed(info: OptionInfo, value: Any) -> str:
    """The option with a value on the command line.

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
    """Checks the names of keywords.

    Raises:
        UsageError: One of them is not known; with the nearest name.
    """
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(known)}"
            raise UsageError(f"{function} has no option {name!r}{hint}")


# === Functions ===


class OptionFunction(Protocol[P, R]):
    """A function with the fields of an `Options` class as keywords."""

    @typing.overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @typing.overload
    def __call__(self, *args: Any, **kwargs: Any) -> R: ...


def with_options(options: Callable[P, Any]) -> Callable[[Callable[..., R]], OptionFunction[P, R]]:
    """Gives a function the fields of an `Options` class as keywords, in its signature and its docstring.

    The function takes the object as `options`. Callers give keywords, or an object as `options`, or both: keywords
    then replace what the object says. If the function has a parameter `given`, it gets the names of the options that
    the caller gave: keywords, and fields of the object that are not the default. A function with a `**parameter`
    gets all other keywords, and checks them.

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
    """The names of the options that are not the default."""
    infos = {} if options is None else option_infos(type(options))
    return [name for name, info in infos.items() if info.required or _differs(getattr(options, name), info.default)]


def _differs(value: Any, default: Any) -> bool:
    """Whether a value is not the default; data frames, whose comparison is none, are compared with None alone."""
    return value is not None if default is None else bool(value != default)


def _collected(function: str, kind: type[Options], base: Options | None, given: Mapping[str, Any]) -> Options:
    if base is not None:
        if not issubclass(kind, type(base)) and not isinstance(base, kind):
            raise UsageError(f"options must be a {kind.__name__}. Received: a {type(base).__name__}")
        # The fields of a parent class are options of this one too.
        given = {name: getattr(base, name) for name in option_infos(type(base))} | dict(given)
    infos = option_infos(kind)
    missing = [name for name, info in infos.items() if info.required and name not in given]
    if missing:
        raise option_error(lambda spell: f"{function} needs {', '.join(spell(name) for name in missing)}", infos)
    return kind(**given)


def _signature(function: Callable[..., Any], kind: type[Options]) -> inspect.Signature:
    """The parameters of the function, with those of the options where it takes `options`."""
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
    """The docstring of a function with a line for each option, before that of `options`."""
    lines = "".join(f"{_described(info)}\n" for info in infos.values())
    docstring = re.sub(r"^    given: .*\n", "", docstring, flags=re.MULTILINE)
    before, mark, after = docstring.partition("    options: ")
    if not mark:
        raise TypeError("the docstring must have a line for `options` under Args")
    return before + lines + mark + after


def _described(info: OptionInfo) -> str:
    """The line of a docstring for an option."""
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
    """A help text with the options in backticks as the command line spells them."""
    return re.sub(r"`(\w+)`", lambda found: infos[found[1]].spelling if found[1] in infos else found[0], text)


def _flattened(annotation: Any) -> tuple[Any, ...]:
    """The members of a union."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(each for member in typing.get_args(annotation) for each in _flattened(member))
    return (annotation,)


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _plain(value: Any, kind: type | None) -> Any:
    """Numbers of NumPy as those of Python; pairs as tuples."""
    if kind is int:
        return int(value)
    if kind is float and not isinstance(value, (int, float)):
        return float(value)
    return tuple(int(each) for each in value) if kind is tuple else value

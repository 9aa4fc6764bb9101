"""Functions that have the fields of an `Options` class as keywords."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, Protocol, TypeVar

from kbert.errors import UsageError
from kbert.options.declaration import Options, option_infos
from kbert.options.documentation import documented
from kbert.options.errors import option_error, refuse_unknown

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


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
        call.__doc__ = documented(inspect.getdoc(function) or "", infos)
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

import dataclasses
import doctest
import inspect
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kbert import files, options
from kbert.errors import UsageError
from kbert.options import (
    OptionError,
    OptionInfo,
    Options,
    as_typed,
    command_text,
    errors,
    functions,
    option,
    option_error,
    option_info,
    option_infos,
    with_documented_fields,
    with_options,
)


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class WalkOptions(Options):
    """The options of a walk."""

    output: files.PathLike = option(help="The folder to write.", remembered=False)
    steps: int = option(10, "The number of steps.", minimum=1)
    rate: float | None = option(None, "The pace.", above=0, maximum=2, default_help="that of `gait`")
    share: float = option(0.5, "A share.", minimum=0, below=1)
    gait: str = option("trot", "How to walk.", choices=("trot", "walk"), details="Horses know more.")
    quiet: bool = option(False, "Say nothing.", free=True)
    looks: bool = option(True, "Look around.")
    span: tuple[int, int] | None = option(
        None, "When to look.", metavar="START:STOP", expected="rising", valid=lambda span: span[0] < span[1]
    )
    places: Sequence[tuple[int, int]] = option((), "Where to go.", flag="--place")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LongWalkOptions(WalkOptions):
    days: int = option(help="The number of days.", minimum=2)


@with_options(WalkOptions)
def walk(where: str, *, options: WalkOptions, sing: bool = False):
    """Walks.

    Args:
        where: The direction.
        options: All of these in one object.
        sing: Whether to sing.

    Returns:
        What was asked for.
    """
    return where, options, sing


@with_options(LongWalkOptions)
def long_walk(*, options: LongWalkOptions, given: frozenset[str], **others):
    """Walks for days.

    Args:
        given: The names of the options that the caller gave.
        options: All of these in one object.
        others: Other keywords.
    """
    return options, given, others


def test_the_examples():
    assert all(doctest.testmod(module).failed == 0 for module in (errors, option_info))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "steps must be at least 1. Received: steps=0"),
        ({"steps": 1.5}, "steps must be a whole number. Received: steps=1.5"),
        ({"steps": True}, "steps must be a whole number. Received: steps=True"),
        ({"steps": None}, "steps must be a whole number. Received: steps=None"),
        ({"rate": 0}, "rate must be above 0 and at most 2. Received: rate=0"),
        ({"rate": 2.5}, "rate must be above 0 and at most 2. Received: rate=2.5"),
        ({"rate": float("nan")}, "rate must be above 0 and at most 2. Received: rate=nan"),
        ({"rate": "fast"}, "rate must be a number. Received: rate='fast'"),
        ({"share": 1}, "share must be at least 0 and below 1. Received: share=1"),
        ({"gait": "swim"}, "gait must be one of trot, walk. Received: gait='swim'"),
        ({"gait": 3}, "gait must be one of trot, walk. Received: gait=3"),
        ({"quiet": 1}, "quiet must be True or False. Received: quiet=1"),
        ({"span": (4, 4)}, "span must be rising. Received: span=[4, 4]"),
        ({"span": (4,)}, "span must be two whole numbers, START:STOP. Received: span=[4]"),
        ({"output": 5}, "output must be text. Received: output=5"),
    ],
)
def test_values_are_checked(values, message):
    with pytest.raises(OptionError) as error:
        WalkOptions(**{"output": "run", **values})
    assert str(error.value) == message
    assert error.value.exit_code == 2


def test_values_that_fit():
    found = WalkOptions(output=Path("run"), steps=np.int64(3), rate=np.float32(0.5), span=[1, 4])
    assert (found.steps, type(found.steps)) == (3, int)
    assert (found.rate, type(found.rate)) == (0.5, float)
    assert found.span == (1, 4)
    assert found.remembered() == {
        "steps": 3,
        "rate": 0.5,
        "share": 0.5,
        "gait": "trot",
        "quiet": False,
        "looks": True,
        "span": [1, 4],
        "places": [],
    }
    assert options.free_options(WalkOptions) == ["quiet"]
    with pytest.raises(OptionError, match=r"^steps must be at least 1"):
        found.replace(steps=0)


def test_an_error_names_options_as_python_and_as_the_command_line():
    error = option_error(
        lambda spell: f"{spell('places')}: {spell('places', [(1, 2), (3, 4)])}", option_infos(WalkOptions)
    )
    assert isinstance(error, UsageError)
    assert str(error) == "places: places=[[1, 2], [3, 4]]"
    assert error.command_line_message == "--place: --place 1:2 --place 3:4"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steps", 3, "--steps 3"),
        ("output", Path("a"), "--output a"),
        ("quiet", True, "--quiet"),
        ("quiet", False, "no --quiet"),
        ("looks", False, "--no-looks"),
        ("rate", None, "no --rate"),
        ("span", (1, 4), "--span 1:4"),
        ("places", (), "no --place"),
    ],
)
def test_options_as_they_are_typed(name, value, expected):
    assert as_typed(option_infos(WalkOptions)[name], value) == expected


def test_a_function_has_the_options_as_keywords():
    assert str(inspect.signature(walk)).startswith("(where: ")
    parameters = inspect.signature(walk).parameters
    assert list(parameters) == [
        *("where", "sing", "output", "steps", "rate", "share", "gait", "quiet", "looks", "span", "places", "options")
    ]
    assert parameters["steps"].default == 10
    assert parameters["output"].default is inspect.Parameter.empty
    assert {each.kind for name, each in parameters.items() if name != "where"} == {inspect.Parameter.KEYWORD_ONLY}
    assert walk("north", output="run", steps=3, sing=True) == ("north", WalkOptions(output="run", steps=3), True)


def test_a_function_takes_an_object():
    whole = WalkOptions(output="run", steps=3)
    assert walk("north", options=whole)[1] == whole
    assert walk("north", options=whole, steps=4, quiet=True)[1] == WalkOptions(output="run", steps=4, quiet=True)
    with pytest.raises(OptionError, match=r"^steps must be at least 1"):
        walk("north", options=whole, steps=0)
    with pytest.raises(UsageError, match=r"^options must be a WalkOptions\. Received: a dict$"):
        walk("north", options={"output": "run"})


def test_a_table_in_memory_differs_from_the_default():
    class Table:
        def __ne__(self, other):
            raise ValueError("ambiguous")

    assert functions._differs(Table(), None)
    assert not functions._differs(None, None)


def test_an_object_of_a_parent_class_will_do():
    short = WalkOptions(output="run", steps=3)
    found, given, _ = long_walk(options=short, days=2)
    assert found == LongWalkOptions(output="run", steps=3, days=2)
    assert found.narrowed(WalkOptions) == short
    assert given == {"output", "steps", "days"}
    with pytest.raises(UsageError, match=r"^long_walk needs days$"):
        long_walk(options=short)


def test_options_that_are_missing_or_unknown():
    with pytest.raises(OptionError, match=r"^long_walk needs output, days$") as error:
        long_walk(steps=4)
    assert error.value.command_line_message == "long_walk needs --output, --days"
    with pytest.raises(UsageError, match=r"^walk has no option 'stpes'; did you mean steps\?$"):
        walk("north", output="run", stpes=4)
    assert long_walk(output="run", days=2, colour="red")[1:] == ({"output", "days"}, {"colour": "red"})


def test_the_documentation_follows_from_the_fields():
    assert walk.__doc__.splitlines()[2:8] == [
        "Args:",
        "    where: The direction.",
        "    output: The folder to write.",
        "    steps: The number of steps.",
        "    rate: The pace. The default is that of `gait`.",
        "    share: A share.",
    ]
    assert '    gait: How to walk. Either "trot" or "walk". Horses know more.' in walk.__doc__
    assert walk.__doc__.index("    places: ") < walk.__doc__.index("    options: ") < walk.__doc__.index("Returns:")
    assert "    steps: The number of steps.\n" in WalkOptions.__doc__
    assert "given" not in long_walk.__doc__
    assert command_text("See `places` or `other`.", option_infos(WalkOptions)) == "See --place or `other`."


def test_what_is_known_of_an_option():
    infos = option_infos(WalkOptions)
    assert [infos[name].kind for name in ("steps", "rate", "quiet", "gait", "span", "output")] == [
        *(int, float, bool, str, tuple, str)
    ]
    assert [name for name, info in infos.items() if info.multiple] == ["places"]
    assert [name for name, info in infos.items() if info.required] == ["output"]
    assert OptionInfo("layer_decay").spelling == "--layer-decay"

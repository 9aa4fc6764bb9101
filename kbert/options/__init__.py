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

from kbert.options.checking import check_value
from kbert.options.declaration import Options, check_option, free_options, option, option_infos
from kbert.options.documentation import command_text, with_documented_fields
from kbert.options.errors import OptionError, Spell, invalid, option_error, refuse_unknown
from kbert.options.functions import changed_options, with_options
from kbert.options.option_info import REQUIRED, OptionInfo, as_json, as_typed

__all__ = [
    "REQUIRED",
    "OptionError",
    "OptionInfo",
    "Options",
    "Spell",
    "as_json",
    "as_typed",
    "changed_options",
    "check_option",
    "check_value",
    "command_text",
    "free_options",
    "invalid",
    "option",
    "option_error",
    "option_infos",
    "refuse_unknown",
    "with_documented_fields",
    "with_options",
]

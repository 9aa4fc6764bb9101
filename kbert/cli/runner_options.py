"""Commands that pass the arguments after `--` to Apache Beam."""

from __future__ import annotations

import click

from kbert.cli import options

_KEY = "kbert.runner_options"


class RunnerCommand(options.SectionedCommand):
    """A command whose arguments after `--` are options of Beam if --runner is given, and usual arguments otherwise."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Moves the options of Beam from the arguments to the context, and parses the rest."""
        if "--" in args:
            place = args.index("--")
            if any(argument.partition("=")[0] == "--runner" for argument in args[:place]):
                ctx.meta[_KEY] = tuple(args[place + 1 :])
                args = args[:place]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Returns the parts of the usage line, with a part for the options of Beam."""
        return [*super().collect_usage_pieces(ctx), "[-- RUNNER OPTIONS]"]


def runner_options() -> tuple[str, ...]:
    """Returns the arguments after `--` of the command that runs, if it has --runner."""
    found: tuple[str, ...] = click.get_current_context().meta.get(_KEY, ())
    return found

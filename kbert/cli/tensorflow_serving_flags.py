"""The flags of TensorFlow Serving's program `tensorflow_model_server`, as `kbert serve` accepts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from kbert.cli.options import SectionedCommand
from kbert.options import OptionInfo, option_infos
from kbert.serving.options import ServeOptions

# The option that stands for a flag with a value.
_VALUES = {
    "port": "grpc_port",
    "rest_api_port": "rest_port",
    "model_name": "model_name",
    "model_base_path": "model_base_path",
    "model_config_file": "model_config_file",
    "model_config_file_poll_wait_seconds": "model_config_poll_seconds",
    "file_system_poll_wait_seconds": "poll_seconds",
    "batching_parameters_file": "batching_parameters_file",
    "monitoring_config_file": "monitoring_config_file",
    "rest_api_timeout_in_ms": "timeout_seconds",
}
# The option that stands for a flag that is on.
_SWITCHES = {
    "enable_batching": "batch_all_models",
    "rest_api_enable_cors_support": "cors",
    "allow_version_labels_for_unavailable_models": "labels_of_unavailable_versions",
}
# The option that a flag turns off: a port of 0 means that the API is not served, and batching is on unless it is off.
_OFF = {"port": "grpc", "rest_api_port": "rest", "enable_batching": "batching"}
_TRUE = ("true", "t", "1", "yes", "y")
_FALSE = ("false", "f", "0", "no", "n")


class TensorFlowServingCommand(SectionedCommand):
    """A command that also accepts the flags of TensorFlow Serving, as `--flag=value`, `--flag value` and `--flag`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments after it replaced the flags."""
        return super().parse_args(ctx, translated(args))


def translated(arguments: Sequence[str]) -> list[str]:
    """Returns arguments with the options of kbert in place of the flags of TensorFlow Serving.

    Raises:
        click.UsageError: A flag has no value, or an invalid one.
    """
    result: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            return [*result, argument, *waiting]
        flag, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or (flag not in _VALUES and flag not in _SWITCHES):
            result.append(argument)
        elif flag in _SWITCHES:
            result += _switch(flag, value if equals else "true")
        else:
            if not equals:
                if not waiting:
                    raise click.UsageError(f"expected a value after --{flag}. Received: none")
                value = waiting.pop(0)
            result += _value(flag, value)
    return result


def _switch(flag: str, value: str) -> list[str]:
    if value.lower() not in (*_TRUE, *_FALSE):
        raise click.UsageError(f"--{flag} must be true or false. Received: --{flag}={value}")
    if value.lower() in _TRUE:
        return [_infos()[_SWITCHES[flag]].spelling]
    return [_infos()[_OFF[flag]].off_spelling] if flag in _OFF else []


def _value(flag: str, value: str) -> list[str]:
    if flag in _OFF and value == "0":
        return [_infos()[_OFF[flag]].off_spelling]
    if flag == "rest_api_timeout_in_ms":
        try:
            value = f"{int(value) / 1000:g}"
        except ValueError:
            raise click.UsageError(f"--{flag} must be a whole number. Received: --{flag}={value}") from None
    return [_infos()[_VALUES[flag]].spelling, value]


def _infos() -> Mapping[str, OptionInfo]:
    return option_infos(ServeOptions)

"""The flags of TensorFlow Serving's program `tensorflow_model_server`, as `kbert serve` accepts them."""

from __future__ import annotations

from collections.abc import Sequence

import click

from kbert.cli.options import SectionedCommand

# The option that stands for a flag with a value.
_VALUES = {
    "port": "--grpc-port",
    "rest_api_port": "--rest-port",
    "model_name": "--model-name",
    "model_base_path": "--model-base-path",
    "model_config_file": "--model-config-file",
    "model_config_file_poll_wait_seconds": "--model-config-poll-seconds",
    "file_system_poll_wait_seconds": "--poll-seconds",
    "batching_parameters_file": "--batching-parameters-file",
    "monitoring_config_file": "--monitoring-config-file",
    "rest_api_timeout_in_ms": "--timeout-seconds",
}
# The options that stand for a flag that is on, and one that is off.
_SWITCHES = {
    "enable_batching": ("--batch-all-models", "--no-batching"),
    "rest_api_enable_cors_support": ("--cors", ""),
    "allow_version_labels_for_unavailable_models": ("--labels-of-unavailable-versions", ""),
}
# A port of 0 turns an API off in TensorFlow Serving.
_OFF = {"port": "--no-grpc", "rest_api_port": "--no-rest"}
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
    chosen = _SWITCHES[flag][value.lower() in _FALSE]
    return [chosen] if chosen else []


def _value(flag: str, value: str) -> list[str]:
    if flag in _OFF and value == "0":
        return [_OFF[flag]]
    if flag == "rest_api_timeout_in_ms":
        try:
            value = f"{int(value) / 1000:g}"
        except ValueError:
            raise click.UsageError(f"--{flag} must be a whole number. Received: --{flag}={value}") from None
    return [_VALUES[flag], value]

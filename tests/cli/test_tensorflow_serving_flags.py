import click
import pytest

from kbert.cli.tensorflow_serving_flags import translated


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            ["models", "--port=9000", "--rest_api_port", "9001"],
            ["models", "--grpc-port", "9000", "--rest-port", "9001"],
        ),
        (["--port=0"], ["--no-grpc"]),
        (["--rest_api_port=0"], ["--no-rest"]),
        (
            ["--model_name=m", "--model_base_path=/models/m"],
            ["--model-name", "m", "--model-base-path", "/models/m"],
        ),
        (
            ["--model_config_file=f", "--model_config_file_poll_wait_seconds=10"],
            ["--model-config-file", "f", "--model-config-poll-seconds", "10"],
        ),
        (["--file_system_poll_wait_seconds=5"], ["--poll-seconds", "5"]),
        (
            ["--enable_batching", "--batching_parameters_file=b"],
            ["--batch-all-models", "--batching-parameters-file", "b"],
        ),
        (["--enable_batching=false"], ["--no-batching"]),
        (["--monitoring_config_file=m"], ["--monitoring-config-file", "m"]),
        (["--rest_api_timeout_in_ms=1500"], ["--timeout-seconds", "1.5"]),
        (["--rest_api_enable_cors_support=true"], ["--cors"]),
        (["--rest_api_enable_cors_support=0"], []),
        (["--rest-port", "1", "--", "--port"], ["--rest-port", "1", "--", "--port"]),
    ],
)
def test_flags_of_tensorflow_serving_stand_for_options(given, expected):
    assert translated(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--port"], "expected a value after --port. Received: none"),
        (["--enable_batching=maybe"], "--enable_batching must be true or false. Received: --enable_batching=maybe"),
        (["--rest_api_timeout_in_ms=1s"], "--rest_api_timeout_in_ms must be a whole number. Received: --rest_api_tim"),
    ],
)
def test_invalid_flags_are_refused(given, message):
    with pytest.raises(click.UsageError) as raised:
        translated(given)
    assert raised.value.format_message().startswith(message)

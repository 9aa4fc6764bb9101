"""Rows for servers with options: CORS, a time limit, and batching."""

from __future__ import annotations

from conformance.table import Rest

_ONE = '{"instances": [1.5]}'

# With --rest_api_enable_cors_support; the answers have its headers whatever their status is.
CORS_ROWS = (
    Rest("a prediction has CORS headers", "echo:predict", _ONE),
    Rest("an error has CORS headers", "nobody:predict", _ONE, 404),
    Rest("a malformed request has CORS headers", "echo:explain", _ONE, 400),
    Rest("a status has CORS headers", "echo", method="GET"),
    Rest("metadata has CORS headers", "echo/metadata", method="GET"),
    Rest("OPTIONS has CORS headers", "echo:predict", method="OPTIONS", headers={"Origin": "https://page.example"}),
    Rest("a refused OPTIONS has CORS headers", "echo:predict", "", 400, method="OPTIONS"),
)

# With a small --rest_api_timeout_in_ms; the text is that of TensorFlow's session.
TIMEOUT_ROWS = (
    Rest(
        "a request that takes too long is stopped",
        "troubles:predict",
        '{"signature_name": "slow", "instances": [2000000000]}',
        504,
        error="Timed out waiting for notification",
        source="http_server.cc",
    ),
    Rest("a request behind a slow one answers", "echo:predict", _ONE, answer='{"predictions": [1.5]}'),
)


def _batched(name: str, body: str, answer: str | None = None, error: str = "", target: str = "outputs:predict") -> Rest:
    return Rest(name, target, body, 400 if error else 200, answer, error, "batching_session.cc")


# With --enable_batching.
BATCHING_ROWS = (
    _batched("a batch answers", _ONE, '{"predictions": [1.5]}'),
    _batched(
        "an output without dimensions cannot be split",
        '{"signature_name": "total", "inputs": [1, 2]}',
        error="Batched output tensor has 0 dimensions",
    ),
    _batched(
        "an output of another size cannot be split",
        '{"signature_name": "uneven", "inputs": [1, 2]}',
        error="Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input",
    ),
    _batched(
        "an input without dimensions cannot be joined",
        '{"signature_name": "scalar", "inputs": 21}',
        error="Batching Run() input tensors must have at least one dimension",
    ),
    _batched(
        "inputs of different sizes cannot be joined",
        '{"inputs": {"tag": ["a", "b"], "signal": [1.5], "sensor": [4]}}',
        error="Batching Run() input tensors must have equal 0th-dimension size",
        target="trio:predict",
    ),
    _batched(
        "a batch of examples answers",
        '{"signature_name": "regress_x_to_y", "examples": [{"x": 6.0}, {"x": 8.0}]}',
        '{"results": [5.0, 6.0]}',
        target="half_plus_two:regress",
    ),
)

"""The deliberate differences between kbert and TensorFlow Serving."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """What kbert answers instead of a row's answer, and why.

    Args:
        reason: The reason in a sentence.
        outcome: The HTTP status of a REST row, or the name of the gRPC code of a gRPC row.
        answer: As in the row.
        error: As in the row.
    """

    reason: str
    outcome: int | str
    answer: str | None = None
    error: str = ""


_RANGE = "A number that is out of range is an error, unless --wrap-integers is given: it would be another number."
_MORE = "kbert reads and writes more types in JSON."
_QUERY = "A query is ignored, since proxies and browsers add some."
_WORDS = "An error always says what is wrong."

# The keys are names of rows.
DIFFERENCES: dict[str, Difference] = {
    "int8 keeps the lower bits of larger numbers": Difference(_RANGE, 400, error="not of expected type: int8"),
    "int16 keeps the lower bits of larger numbers": Difference(_RANGE, 400, error="not of expected type: int16"),
    "uint8 keeps the lower bits of larger numbers": Difference(_RANGE, 400, error="not of expected type: uint8"),
    "float16 is no type of JSON": Difference(_MORE, 200, answer='{"outputs": [1.0]}'),
    "bfloat16 is no type of JSON": Difference(_MORE, 200, answer='{"outputs": [1.0]}'),
    "uint16 is no type of JSON": Difference(_MORE, 200, answer='{"outputs": [1]}'),
    "an output of float16 cannot be written": Difference(_MORE, 200, answer='{"predictions": [1.0]}'),
    "bytes that are no text are written as they are": Difference(
        "Bytes that are not UTF-8 are written as base64, since JSON cannot hold them.",
        200,
        answer='{"predictions": [{"b64": "/w=="}]}',
    ),
    "a version beyond int64 has an empty answer": Difference(_WORDS, 400, error="Failed to convert version"),
    "the status of a version beyond int64 is an empty answer": Difference(
        _WORDS, 400, error="Failed to convert version"
    ),
    "OPTIONS without an origin is refused": Difference(_WORDS, 400, error="Origin header is missing"),
    "OPTIONS from another origin is refused": Difference(_WORDS, 400, error="Origin header is missing"),
    "a POST with a query is malformed": Difference(_QUERY, 400, error="Missing 'inputs' or 'instances' key"),
    "a query is part of a model's name": Difference(_QUERY, 200),
    "metadata with a query is malformed": Difference(_QUERY, 200),
    "the path of the metrics takes no query": Difference(_QUERY, 200),
    "HEAD is malformed": Difference("HEAD is answered as GET, without a body.", 200),
    "a model keeps its platform": Difference(
        "The platform is checked before the names are compared.",
        "INVALID_ARGUMENT",
        error="Model half_plus_two requests unsupported platform other",
    ),
}

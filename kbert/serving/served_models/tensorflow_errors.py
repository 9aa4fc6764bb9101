"""The canonical code and the message of an exception of TensorFlow."""

from __future__ import annotations

from kbert.serving.request_error import RequestError

# Lines of TensorFlow's messages with places in the graph, which mean nothing to a client.
_GRAPH_LINES = ("Graph execution error", "Detected at node", "<stack traces", 'File "', "[[")


def canonical_code(problem: BaseException) -> str:
    """Returns the name of gRPC's canonical code for an exception; exceptions of TensorFlow carry its number."""
    if isinstance(problem, RequestError):
        return problem.code
    number = getattr(problem, "error_code", None)
    if number is None:
        return "NOT_FOUND" if isinstance(problem, FileNotFoundError) else "INTERNAL"
    from tensorflow import errors

    names = [name for name, value in vars(errors).items() if name.isupper() and value == number]
    return names[0] if names else "INTERNAL"


def one_line(problem: BaseException) -> str:
    """Returns the message of an exception without line breaks and without places in TensorFlow's graph."""
    message = str(getattr(problem, "message", problem)).partition("\n\t [[")[0]
    lines = [line.strip() for line in message.splitlines()]
    said = " ".join(line for line in lines if line and not line.startswith(_GRAPH_LINES))
    return said[:500] or type(problem).__name__


def request_error(problem: BaseException) -> RequestError:
    """Returns the error that a client receives for an exception of TensorFlow."""
    return RequestError(canonical_code(problem), one_line(problem))

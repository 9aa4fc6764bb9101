"""The exception for a request that has no valid answer."""

from __future__ import annotations

from kbert.errors import KbertError


class RequestError(KbertError):
    """A request that is invalid, or that cannot be answered. Its message is sent to the client.

    Args:
        code: The name of gRPC's canonical code, such as "INVALID_ARGUMENT" or "NOT_FOUND"; REST translates it into an
            HTTP status.
        message: One line: what was expected, and what was received.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def invalid(message: str) -> RequestError:
    """Returns the error for a request that is invalid in itself."""
    return RequestError("INVALID_ARGUMENT", message)

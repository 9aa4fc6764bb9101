"""The one exception that stands for a request which cannot be answered as asked."""

from __future__ import annotations

from kbert.errors import KbertError


class RequestError(KbertError):
    """A request that cannot be answered; it goes back to the client, and the server goes on.

    Args:
        code: gRPC's canonical name of what went wrong, such as "INVALID_ARGUMENT" or "NOT_FOUND".
            Each protocol translates it: REST to an HTTP status.
        message: One line: what was expected, what was received.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)

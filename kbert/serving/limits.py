"""The largest requests that the server accepts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from kbert.serving.request_error import invalid

_LAST_ANSWER_SECONDS = 5.0
"""The time for sending an answer that was computed at the last moment."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of requests. 0 stands for no limit."""

    body_bytes: int = 64 * 2**20
    """The bytes of the body of a request by REST, before and after decompression, or of a message by gRPC."""
    texts: int = 10_000
    """The number of texts in a request."""
    text_bytes: int = 2**20
    """The bytes of one text."""
    wrap_integers: bool = False
    """Whether whole numbers in JSON that are out of range keep their lower bits instead of being refused."""
    seconds: float = 30.0
    """The seconds until the answer; also the time for the arrival of a body."""

    @property
    def grace_seconds(self) -> float | None:
        """The seconds within which open requests end when the server stops; None for no limit."""
        return self.seconds + _LAST_ANSWER_SECONDS if self.seconds else None

    def check_texts(self, name: str, count: int) -> None:
        """Checks the number of texts of an input.

        Raises:
            RequestError: There are too many texts.
        """
        if self.texts and count > self.texts:
            raise invalid(f"input {name}: expected at most {self.texts} texts in a request. Received: {count}")

    def check(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Checks the inputs of a request.

        Raises:
            RequestError: There are too many texts, or a text is too long.
        """
        for name, array in inputs.items():
            if array.dtype.kind != "O":
                continue
            self.check_texts(name, array.size)
            if self.text_bytes:
                longest = max(map(len, array.ravel()), default=0)
                if longest > self.text_bytes:
                    raise invalid(
                        f"input {name}: expected texts of at most {self.text_bytes} bytes. Received: {longest} bytes"
                    )

"""The largest requests that the server accepts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from kbert.serving.request_error import invalid


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of requests. 0 stands for no limit."""

    body_bytes: int = 64 * 2**20
    """The bytes of the body of a request by REST, before and after decompression, or of a message by gRPC."""
    texts: int = 10_000
    """The number of rows in a request."""
    text_bytes: int = 2**20
    """The bytes of one text."""
    seconds: float = 30.0
    """The seconds until the answer; also the time for the arrival of a body."""

    def check_rows(self, name: str, count: int) -> None:
        """Checks the number of rows of an input.

        Raises:
            RequestError: There are too many rows.
        """
        if self.texts and count > self.texts:
            raise invalid(f"input {name}: expected at most {self.texts} rows in a request. Received: {count}")

    def check(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Checks the inputs of a request.

        Raises:
            RequestError: There are too many rows, or a text is too long.
        """
        for name, array in inputs.items():
            if array.ndim:
                self.check_rows(name, len(array))
            if self.text_bytes and array.dtype.kind == "O":
                longest = max(map(len, array.ravel()), default=0)
                if longest > self.text_bytes:
                    raise invalid(
                        f"input {name}: expected texts of at most {self.text_bytes} bytes. Received: {longest} bytes"
                    )

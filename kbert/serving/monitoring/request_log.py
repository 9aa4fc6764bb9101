"""One line of JSON for each request. Texts and answers are never logged."""

from __future__ import annotations

import json
import logging
import time

_LOGGER = logging.getLogger("kbert.serving.requests")


class RequestLog:
    """Writes a line for each request to the logger "kbert.serving.requests".

    Args:
        enabled: Whether lines are written.
    """

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled

    def write(self, *, api: str, method: str, model: str, code: str, seconds: float, examples: int | None) -> None:
        """Writes a line.

        Args:
            api: "REST" or "GRPC".
            method: The method, such as "predict".
            model: The name of the model; empty if the request names none.
            code: The canonical code of the answer, such as "OK".
            seconds: The time between the request and its answer.
            examples: The number of texts or examples in the request, if it is known.
        """
        if not self._enabled:
            return
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "api": api,
            "method": method,
            "model": model,
            "code": code,
            "milliseconds": round(seconds * 1000, 2),
            "examples": examples,
        }
        _LOGGER.info("%s", json.dumps(line, ensure_ascii=False))

"""Child processes that read and run LiteRT files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from kbert.errors import DataError
from kbert.files import PathLike

_ERROR = "error"


def ask_child(module: str, request: Mapping[str, Any], file: PathLike) -> dict[str, Any]:
    """Runs a module of this folder in a child process, and returns its answer.

    Args:
        module: The module, which calls `answer_parent`.
        request: The question, as JSON.
        file: The LiteRT file, for messages.

    Raises:
        DataError: The file is not a LiteRT model, or cannot be run.
    """
    process = subprocess.run(
        [sys.executable, "-m", module], input=json.dumps(request), capture_output=True, text=True, check=False
    )
    lines = process.stdout.splitlines()
    if process.returncode == 0 and lines:
        answer: dict[str, Any] = json.loads(lines[-1])
        if _ERROR not in answer:
            return answer
        problem = answer[_ERROR]
    else:
        code = process.returncode
        ended = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        written = process.stderr.strip().splitlines()[-1:]
        problem = f"its process ended with {ended} {' '.join(written)}"
    raise DataError(f"expected a LiteRT model that runs. Received: {' '.join(problem.split()):.300}", file)


def answer_parent(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answers the question on standard input on standard output. Errors of LiteRT are part of the answer.

    Args:
        answer: The function from the question to the answer.
    """
    try:
        outcome = answer(json.load(sys.stdin))
    except (ValueError, RuntimeError) as problem:  # LiteRT raises them for files that it cannot read or run
        outcome = {_ERROR: str(problem)}
    print(json.dumps(outcome), flush=True)

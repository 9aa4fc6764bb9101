"""Several workers on one machine, which are started, stopped and restarted from the last checkpoint together."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from kbert.errors import TrainingError, UsageError
from kbert.options import with_options
from kbert.runtime.interrupts import Interrupted, handled_signals
from kbert.training.options import LaunchOptions

_LOG = logging.getLogger("kbert")
_GRACE = 60.0
"""The seconds between SIGTERM and SIGKILL, in which a worker saves a checkpoint or notices that another worker died."""
_LAST_LINES = 5.0
"""The seconds to wait for the remaining output of a worker that has ended."""
_FUTILE = 3
"""The number of consecutive attempts that fail without a new checkpoint before `launch` gives up."""


@with_options(LaunchOptions)
def launch(command: Sequence[str], *, options: LaunchOptions) -> None:
    """Runs several workers of one kbert command on this machine.

    Each worker gets TF_CONFIG with addresses on 127.0.0.1. Its lines on standard output and standard error are passed
    on with the prefix "[0] ", "[1] ", ... When a worker fails, the others are stopped, and all workers are started
    again with --resume. SIGINT and SIGTERM are passed on to the workers.

    Args:
        command: The kbert command without the word "kbert": "pretrain" or "finetune" with its options.
        options: All of these options in one object.

    Raises:
        UsageError: The command does not support workers, or a worker rejects its options.
        TrainingError: A worker failed, and there are no restarts left, or restarts do not help.
        Interrupted: SIGINT or SIGTERM was received, and the workers have ended.
    """
    workers, max_restarts = options.workers, options.max_restarts
    if not command or command[0] not in ("pretrain", "finetune"):
        raise UsageError(
            "expected a command that trains, as in `kbert launch --workers 2 -- pretrain ...`. "
            f"Received: {' '.join(command) or 'nothing'}"
        )
    arguments = list(command)
    if not any(argument.split("=")[0] == "--strategy" for argument in arguments):
        arguments += ["--strategy", "multi-worker"]
    newest, futile = _newest_checkpoint(arguments), 0
    for restarts in range(max_restarts + 1):
        failed, code = _run_once(arguments, workers)
        if code == 0:
            return
        if code == UsageError.exit_code:
            raise UsageError(f"worker {failed} did not accept its options")
        before, newest = newest, _newest_checkpoint(arguments)
        futile = futile + 1 if code > 0 and newest == before else 0
        if futile == _FUTILE:
            raise TrainingError(
                f"worker {failed} ended with {_outcome(code)}, {_FUTILE} times in a row without a new checkpoint; "
                "correct the error above, then add --resume"
            )
        if restarts < max_restarts:
            left = max_restarts - restarts - 1
            _LOG.info(f"worker {failed} ended with {_outcome(code)}; restarting all workers ({left} restarts left)")
            if "--resume" not in arguments:
                arguments.append("--resume")
    raise TrainingError(
        f"worker {failed} ended with {_outcome(code)}; add --resume to continue from the last checkpoint"
    )


def _newest_checkpoint(arguments: Sequence[str]) -> str | None:
    """Returns the name of the newest checkpoint in the command's --output, or None if there is none."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--output", type=Path)
    output = parser.parse_known_args(arguments)[0].output
    return max((path.name for path in output.glob("checkpoints/step-*")), default=None) if output else None


def _outcome(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _run_once(arguments: Sequence[str], workers: int) -> tuple[int, int]:
    """Starts the workers and waits for them.

    Returns:
        The number and the exit code of the first worker that failed, or (0, 0) if none failed.
    """
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(workers)]
    processes: list[subprocess.Popen[str]] = []
    copying: list[threading.Thread] = []
    with _passing_on(processes) as received:
        try:
            for index in range(workers):
                process, streams = _start(arguments, addresses, index)
                processes.append(process)
                copying.extend(streams)
            while not received and all(process.poll() in (None, 0) for process in processes):
                if all(process.poll() == 0 for process in processes):
                    return 0, 0
                time.sleep(0.1)
            failed = next((index for index, process in enumerate(processes) if process.poll() not in (None, 0)), 0)
            code = processes[failed].poll()
        finally:
            _stop(processes)
            for thread in copying:
                thread.join(_LAST_LINES)
        if received:
            raise Interrupted(received[0])
        return failed, code or 0


def _start(
    arguments: Sequence[str], addresses: Sequence[str], index: int
) -> tuple[subprocess.Popen[str], list[threading.Thread]]:
    """Starts a worker, and the threads that copy its output."""
    task = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    process = subprocess.Popen(
        [sys.executable, "-m", "kbert", *arguments],
        env={**os.environ, "TF_CONFIG": json.dumps(task)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # the worker receives Ctrl-C only once, from this process and not from the terminal
    )
    threads = [
        threading.Thread(target=_copy, args=(source, target, f"[{index}] "), daemon=True)
        for source, target in ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
    ]
    for thread in threads:
        thread.start()
    return process, threads


def _copy(source: IO[str], target: IO[str], prefix: str) -> None:
    with source:
        for line in source:
            target.write(prefix + line.rstrip("\n") + "\n")
            target.flush()


def _stop(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Ends all running workers with SIGTERM, and those that do not end in time with SIGKILL."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + _GRACE
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _passing_on(processes: Sequence[subprocess.Popen[str]]) -> Iterator[list[int]]:
    """Passes SIGINT and SIGTERM on to the workers; yields the list of received signals."""
    received: list[int] = []

    def pass_on(number: int) -> None:
        received.append(number)
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    with handled_signals(pass_on):
        yield received


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]

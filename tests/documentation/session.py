"""A reader who follows a page: the commands and the Python of its blocks run one after the other, in one folder.

Commands run as the page has them, by the real program, but with fewer steps: `SMALLER` lists what is added to their
words. A command whose output exists from an earlier block of the page replaces it, as if the reader had chosen another
name.
"""

import importlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import threading
import time
import traceback
import urllib.request
from contextlib import redirect_stdout
from pathlib import Path

from click.testing import CliRunner
from documentation.blocks import commands_of
from documentation.commands import APPS, command_of
from documentation.not_run import FOREIGN_PROGRAMS, NOT_RUN

from kbert.cli.main import main

SMALLER = {
    "bench litert": ("--runs", "2"),
    "corpus build": ("--workers", "1"),
    "distill": ("--epochs", "1"),
    "finetune": ("--epochs", "1"),
    "pretrain": ("--steps", "2"),
    "prune": ("--epochs", "1", "--round-epochs", "1", "--rounds", "1"),
}
"""Words that are added to a command; Click takes the last value of an option that is given twice."""
SMALLER_IF_GIVEN = {"--precision": "float32", "--target-risk": "0.9", "--warmup-steps": "1"}
"""Options that get another value in commands that have them. A model that has learnt little has a large risk."""
INSTALLING = ("pip", "tox")
"""Programs that install packages from a network. Their words are checked by `test_commands.py`."""
_SECONDS = 120


def runs(block):
    """Returns whether a block has something to run."""
    if block.language == "python":
        return not any(each.fits(block.page, block.code) for each in NOT_RUN)
    return block.language == "sh" and any(map(is_run, commands_of(block)))


def is_run(command):
    """Returns whether a command is run, and neither only checked nor in the list of those that cannot run."""
    if command.program in (*FOREIGN_PROGRAMS, *INSTALLING):
        return False
    return not any(each.fits(command.page, shlex.join(command.words)) for each in NOT_RUN)


class Session:
    """What the blocks of a page leave behind for the following ones: files in the current folder, names in Python.

    Args:
        names: Names that the page takes for granted in its Python.
    """

    def __init__(self, **names):
        self.names = names
        self.printed = {}
        """What each command and each block in Python printed, by its text; of curl, the answer."""

    def run(self, block):
        """Runs a block; code that the list of exceptions names is left out."""
        if not runs(block):
            return
        if block.language == "python":
            _remove(re.findall(r'output="([^"]+)"', block.code))
            with redirect_stdout(io.StringIO()) as printed:
                exec(compile(block.code, str(block), "exec"), self.names)
            self.printed[block.code] = printed.getvalue()
            return
        for command in filter(is_run, commands_of(block)):
            try:
                self._command(command)
            except Exception as problem:
                raise AssertionError(f"{command}\n{problem}") from problem

    def _command(self, command):
        words = list(command.words)
        if command.program == "curl":
            self._serve(main, ["serve", "saved_models/"], "health/ready", [words[1:]])
        elif words[:2] == ["kbert", "serve"]:
            self._serve(main, words[1:], "health/ready")
        elif command.program in APPS:
            group = importlib.import_module(APPS[command.program]).main
            if words[3] in ("serve", "watch"):
                self._serve(group, words[3:], "health")
            else:
                self._invoke(group, words[3:])
        else:
            assert command.program == "kbert", "the test has no way to run this program"
            result = self._invoke(main, [*words[1:], *smaller(words[1:])])
            if command.output_file:
                Path(command.output_file).write_text(result.stdout, encoding="utf-8")
            self.printed[shlex.join(words)] = result.output

    def _invoke(self, group, words, exit_codes=(0,)):
        _remove_output(words)
        result = CliRunner().invoke(group, words)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            traceback.print_exception(result.exception)
        assert result.exit_code in exit_codes, f"exit code {result.exit_code}: {result.output}"
        return result

    def _serve(self, group, words, health, requests=()):
        """Runs a server until it has answered the requests, and stops it by a signal."""
        port = free_port()
        ports = ["--rest-port", str(port), "--grpc-port", "0"] if group is main else ["--port", str(port)]
        ended, problems = threading.Event(), []

        def visit():
            try:
                _wait_for(f"http://127.0.0.1:{port}/{health}", ended)
                for request in requests:
                    self.printed[shlex.join(["curl", *request])] = asked(request, port)
            except Exception as problem:
                problems.append(problem)
            if not ended.is_set():
                os.kill(os.getpid(), signal.SIGINT)

        visitor = threading.Thread(target=visit)
        visitor.start()
        try:
            # The programs of the apps say by their exit code that a signal ended them.
            self._invoke(group, [*words, *ports], (0,) if group is main else (0, 1, 130))
        finally:
            ended.set()
            visitor.join()
        if problems:
            raise problems[0]


def smaller(words):
    """Returns the words that are added to a command of kbert."""
    _, rest = command_of(words)
    name = " ".join(words[: len(words) - len(rest)])
    added = [word for start, more in SMALLER.items() if name.startswith(start) for word in more]
    for option, value in SMALLER_IF_GIVEN.items():
        if option in words:
            added += [option, value]
    return added


def _remove_output(words):
    """Removes the output of an earlier command of the page; an export adds a version to it instead."""
    if "--resume" in words or words[:2] == ["export", "saved-model"]:
        return
    outputs = [words[words.index("--output") + 1]] if "--output" in words else []
    if words[0] == "convert":
        outputs.append(words[2])
    _remove(outputs)


def _remove(names):
    for path in map(Path, names):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _wait_for(url, ended):
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and not ended.wait(0.1):
        try:
            with urllib.request.urlopen(url, timeout=_SECONDS):
                return
        except OSError:
            pass
    raise TimeoutError(f"{url} did not answer")


def asked(words, port):
    """Sends what a command of curl sends to this port, and returns the answer."""
    (url,) = (word for word in words if word.startswith("http://"))
    address = url.removeprefix("http://").partition("/")
    data = words[words.index("-d") + 1].encode() if "-d" in words else None
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{address[2]}", data, timeout=_SECONDS) as answer:
        return json.load(answer)

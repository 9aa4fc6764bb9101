"""The image in apps/serve starts a command of kbert, and its health check tells whether the server is ready."""

import fnmatch
import http.server
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import click
import tensorflow as tf

from kbert.cli.main import main
from kbert.serving.server import running_server

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "apps" / "serve"


def instructions():
    """The arguments of each instruction, by its name."""
    lines = [line for line in (FOLDER / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", "")
    found = {}
    for line in filter(None, text.splitlines()):
        name, _, argument = line.partition(" ")
        found.setdefault(name, []).append(argument)
    return found


def health_command():
    (line,) = instructions()["HEALTHCHECK"]
    return json.loads(line.partition(" CMD ")[2])


def test_the_command_is_one_of_kbert_and_receives_signals(monkeypatch):
    # The exec form, which is JSON, starts no shell.
    (entry,) = map(json.loads, instructions()["ENTRYPOINT"])
    (default,) = map(json.loads, instructions()["CMD"])
    assert entry[:2] == ["kbert", "serve"]
    group = click.Context(main)
    command = main.get_command(group, "serve")
    for parameter in command.params:
        if isinstance(parameter.type, click.Path):
            monkeypatch.setattr(parameter, "type", click.STRING)  # the folder need not be there
    options = command.make_context("serve", [*entry[2:], *default], parent=group).params
    assert options["host"] == "0.0.0.0"
    assert str(options["folder"]) == "/models"


def test_the_user_is_not_root():
    (user,) = instructions()["USER"]
    assert int(user) > 0
    assert any(f"--uid {user}" in command for command in instructions()["RUN"])


def test_the_ports_are_the_default_ports_of_the_server():
    (ports,) = instructions()["EXPOSE"]
    assert ports.split() == ["8500", "8501"]
    assert ":8501/health/available" in health_command()[2]


def test_the_health_check_fails_until_the_server_is_ready(tmp_path):
    class Texts(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def length(self, text):
            return {"length": tf.strings.length(text)}

    def check(address):
        program, *arguments = health_command()
        assert program == "python"
        arguments = [argument.replace("http://127.0.0.1:8501", address) for argument in arguments]
        return subprocess.run([sys.executable, *arguments], capture_output=True, check=False).returncode

    texts = Texts()
    tf.saved_model.save(texts, str(tmp_path / "texts" / "1"), signatures={"serving_default": texts.length})
    with running_server(tmp_path) as server:
        assert check(server.url) == 0
    assert check(server.url) == 1

    class NotReady(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(503)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), NotReady) as waiting:
        threading.Thread(target=waiting.handle_request, daemon=True).start()
        assert check(f"http://127.0.0.1:{waiting.server_port}") == 1


def test_the_build_receives_what_the_package_consists_of():
    patterns = [line for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line[0] != "#"]
    assert patterns[0] == "*"
    kept = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    assert all((ROOT / each).exists() for each in kept)
    named = re.findall(r"^(?:long_description = file:|license_files =) (\S+)$", (ROOT / "setup.cfg").read_text(), re.M)
    assert len(named) == 2
    for needed in ["kbert", "setup.cfg", "pyproject.toml", *named]:
        assert any(fnmatch.fnmatch(needed, pattern) for pattern in kept)

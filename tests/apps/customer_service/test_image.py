"""The image starts a command of the app, and its health check tells whether the server is ready."""

import json
import subprocess
import sys
from pathlib import Path

import apps.customer_service
from apps.customer_service.api import make_app
from apps.customer_service.cli import main
from apps.customer_service.server import running

FOLDER = Path(apps.customer_service.__file__).parent


def instructions():
    """The arguments of each instruction, by its name."""
    lines = [line for line in (FOLDER / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    found = {}
    for line in filter(None, "\n".join(lines).replace("\\\n", "").splitlines()):
        name, _, argument = line.partition(" ")
        found.setdefault(name, []).append(argument)
    return found


def test_the_command(tmp_path):
    # The exec form, which is JSON, starts no shell.
    (entry,) = map(json.loads, instructions()["ENTRYPOINT"])
    assert entry[:4] == ["python", "-m", "apps.customer_service", "serve"]
    (tmp_path / "faq.csv").write_text("question,answer\na,b\n")
    options = main.commands["serve"].make_context("serve", [*entry[4:], str(tmp_path / "faq.csv")]).params
    assert (options["host"], options["port"], options["store"]) == ("0.0.0.0", 8080, "/data/store.sqlite")
    assert instructions()["EXPOSE"] == ["8080"]
    assert int(instructions()["USER"][0]) > 0


def test_the_health_check(store, make_assistant):
    (line,) = instructions()["HEALTHCHECK"]
    program, *arguments = json.loads(line.partition(" CMD ")[2])
    assert program == "python"

    def check(url):
        command = [argument.replace("http://127.0.0.1:8080", url) for argument in arguments]
        assert command != arguments
        return subprocess.run([sys.executable, *command], capture_output=True, check=False).returncode

    with running(make_app(make_assistant(), store)) as url:
        assert check(url) == 0
    assert check(url) != 0


def test_the_builder_gets_what_it_needs():
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    for name in ("kbert", "apps/customer_service", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        assert f"!{name}" in ignored
        assert (FOLDER.parents[1] / name).exists()

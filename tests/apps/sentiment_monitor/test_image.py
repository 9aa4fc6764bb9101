"""The image starts the program with options that it has, and its health check asks the page."""

import json
from pathlib import Path

from apps.sentiment_monitor.commands import main

FOLDER = Path(__file__).parents[3] / "apps" / "sentiment_monitor"


def instructions():
    """The arguments of each instruction, by its name."""
    lines = [line for line in (FOLDER / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    found = {}
    for line in filter(None, "\n".join(lines).replace("\\\n", "").splitlines()):
        name, _, argument = line.partition(" ")
        found.setdefault(name, []).append(argument)
    return found


def test_the_command_and_the_health_check():
    (entry,) = map(json.loads, instructions()["ENTRYPOINT"])
    (sources,) = map(json.loads, instructions()["CMD"])
    assert entry[:4] == ["python", "-m", "apps.sentiment_monitor", "watch"]
    options = main.commands["watch"].make_context("watch", [*entry[4:], *sources]).params
    assert (options["host"], options["port"]) == ("0.0.0.0", 8600)
    assert options["sources"] == ("/headlines",)
    assert str(options["database"].parent) in instructions()["VOLUME"]
    assert instructions()["EXPOSE"] == ["8600"]
    assert ":8600/health" in instructions()["HEALTHCHECK"][0]
    (user,) = instructions()["USER"]
    assert int(user) > 0
    assert any(f"--uid {user}" in command for command in instructions()["RUN"])


def test_the_build_receives_what_it_copies():
    patterns = [line for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line[0] != "#"]
    kept = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    assert all((FOLDER.parents[1] / each).exists() for each in kept)
    (copied,) = instructions()["COPY"]
    assert copied.split()[0] in kept

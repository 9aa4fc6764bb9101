"""The program as people run it."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from apps.sentiment_monitor.commands import main
from apps.sentiment_monitor.errors import UsageError

REPOSITORY = Path(__file__).parents[3]


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def using(models):
    return ["--topic-model", models[0], "--sentiment-model", models[1]]


@pytest.mark.long
def test_once_reads_files_and_is_idempotent(tmp_path, using):
    news = tmp_path / "news"
    news.mkdir()
    (news / "a.csv").write_text("text,time\nthe cat sat,2026-05-01\na dog ran,2026-05-01\n")
    (tmp_path / "b.txt").write_text("the mat\n")
    sources = [news, tmp_path / "b.txt"]
    options = [*using, "--once", "--database", tmp_path / "h.db", "--alert-file", tmp_path / "alerts.jsonl"]
    first = run("watch", *sources, *options)
    assert (first.exit_code, first.stdout) == (0, f"3 new headlines in {tmp_path / 'h.db'}\n"), first.output
    (tmp_path / "c.txt").write_text("THE MAT\nthe slow mat")
    assert run("watch", *sources, tmp_path / "c.txt", *options).stdout.startswith("1 new headlines")
    (news / "a.csv").write_text("text,time\nthe cat sat,never\nslow dogs,2026-05-01\n")
    bad = run("watch", *sources, *options)
    assert bad.exit_code == 1
    assert bad.stdout.startswith("1 new headlines")
    assert "1 problems with the sources" in bad.output


@pytest.mark.long
def test_scoring_again(tmp_path, using, models):
    (tmp_path / "a.txt").write_text("the cat\na dog\n")
    database = ["--database", tmp_path / "h.db"]
    assert run("watch", tmp_path / "a.txt", *using, *database, "--once").exit_code == 0
    assert run("rescore", *using, *database).stdout == f"2 headlines scored again in {tmp_path / 'h.db'}\n"
    assert isinstance(run("rescore", *using, "--database", tmp_path / "none.db").exception, UsageError)
    other = run("watch", tmp_path / "a.txt", *using, *database, "--once", "--negative-label", "positive")
    assert "expected the models whose scores" in str(other.exception)


def test_a_test_alert(tmp_path):
    result = run("test-alert", "--alert-file", tmp_path / "a.jsonl", "--webhook", "http://127.0.0.1:1/")
    assert result.exit_code == 1
    assert "1 of 2 channels failed" in result.output
    assert json.loads((tmp_path / "a.jsonl").read_text())["examples"] == ["This is a test."]
    assert "expected --webhook, --alert-file or --email-to" in str(run("test-alert").exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "expected a file, a folder, an http address or - as SOURCE. Received: none.csv"),
        (["-", "--email-to", "a@b"], "expected --email-to together with --email-from"),
        (["-", "--webhook", "hook"], "expected --webhook with an address of http or https"),
        (["-", "--window", "7"], "expected a --window that divides 24 hours"),
    ],
)
def test_options_that_are_not_possible(arguments, message):
    result = run("watch", *arguments, "--topic-model", "none", "--sentiment-model", "none")
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def start(*arguments, **settings):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "apps.sentiment_monitor", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, **settings)


def wait_for(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def stored(database):
    if not database.exists():
        return 0
    connection = sqlite3.connect(database)
    try:
        return connection.execute("SELECT count(*) FROM headlines").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


@pytest.mark.long
def test_a_killed_program_goes_on_without_a_loss(tmp_path, using):
    rows = [f"the cat sat on mat {number}" for number in range(3000)]
    (tmp_path / "news").mkdir()
    (tmp_path / "news" / "a.txt").write_text("\n".join(rows) + "\n")
    database = tmp_path / "h.db"
    options = [tmp_path / "news", *using, "--database", database]
    killed = start("watch", *options, "--port", "0", stderr=subprocess.DEVNULL)
    wait_for(lambda: stored(database))
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert 0 < stored(database) < 3000
    assert start("watch", *options, "--once", stdout=subprocess.DEVNULL).wait() == 0
    connection = sqlite3.connect(database)
    assert sorted(row[0] for row in connection.execute("SELECT text FROM headlines")) == sorted(rows)
    connection.close()


@pytest.mark.long
def test_the_service_answers_and_ends_on_a_signal(tmp_path, using, unused_port):
    (tmp_path / "a.txt").write_text("the cat\n")
    options = [tmp_path / "a.txt", "-", *using, "--database", tmp_path / "h.db", "--port", unused_port]
    service = start("watch", *options, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        line = wait_for(lambda: next((line for line in service.stderr if "the page is at" in line), None))
        address = re.search(r"http://\S+", line)[0]
        service.stdin.write("a dog from a pipe\n")
        service.stdin.flush()
        wait_for(lambda: stored(tmp_path / "h.db") == 2)
        with urllib.request.urlopen(address) as page:
            assert "a dog from a pipe" in page.read().decode()
        with urllib.request.urlopen(f"{address}/health") as health:
            assert health.read() == b"ok\n"
    finally:
        service.terminate()
        assert service.wait(30) in (0, -signal.SIGTERM)
        service.stdin.close()
        service.stderr.close()

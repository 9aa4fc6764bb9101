"""Fixtures for the sentiment monitor: two tiny models, a database, and servers that misbehave on request."""

import contextlib
import http.server
import importlib.util
import socket
import sys
import threading
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
if importlib.util.find_spec("apps") is None:
    # At the end, so that an installed kbert is tested where there is one.
    sys.path.append(str(REPOSITORY))

NOW = 1_780_000_000.0
"""28 May 2026, 20:26:40 UTC, a Thursday."""


@pytest.fixture
def store(tmp_path):
    from apps.sentiment_monitor.store import Store

    store = Store(tmp_path / "headlines.db")
    yield store
    store.close()


@pytest.fixture(scope="session")
def models(tmp_path_factory, make_task_model):
    """The folders of a model for topics and of one for sentiments."""
    from kbert.tasks.classification import ClassificationTask

    labels = {"topics": ["Business", "World"], "sentiment": ["negative", "neutral", "positive"]}
    base = tmp_path_factory.mktemp("models")
    return [str(make_task_model(base / name, ClassificationTask(each))) for name, each in labels.items()]


class WordScorer:
    """Finds topic and sentiment by single words, so that a test decides both."""

    topics = ("Business", "World")
    negative = "negative"
    fingerprint = "words"

    def __init__(self):
        self.scored = []

    def score(self, texts):
        from apps.sentiment_monitor.scoring import Score

        self.scored += texts
        return [
            Score("World" if "war" in text else "Business", 0.9, "negative" if "loss" in text else "neutral", 0.8)
            for text in texts
        ]


@pytest.fixture
def scorer():
    return WordScorer()


@pytest.fixture
def http_server():
    """A function that starts a server; its answers are those of a function from the handler to (status, headers, body).

    It returns the address and the list of requests: (path, headers, body).
    """
    with contextlib.ExitStack() as stack:

        def start(answer):
            requests = []

            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    length = int(self.headers.get("Content-Length", 0))
                    requests.append((self.path, dict(self.headers), self.rfile.read(length)))
                    status, headers, body = answer(self)
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    with contextlib.suppress(ConnectionError):
                        self.wfile.write(body)

                do_POST = do_GET

                def log_message(self, *arguments):
                    pass

            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}", requests

        yield start


@pytest.fixture
def unused_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]

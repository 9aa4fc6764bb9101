"""No log of the server has a text of a request, whatever becomes of the request."""

import json
import logging

import httpx
import pytest

from kbert.serving.options import ServeOptions
from kbert.serving.server import running_server

SECRET = "Lovelace"

BODIES = {
    "answered": {"inputs": [SECRET]},
    "refused by the model": {"signature_name": "short_only", "inputs": [SECRET]},
    "unknown signature": {"signature_name": SECRET, "inputs": [SECRET]},
    "unknown input": {"inputs": {SECRET: [SECRET]}},
    "invalid type": {"inputs": [1, SECRET]},
    "not JSON": '{"inputs": ["Lovelace',
}
CODES = {"answered": "OK"}


@pytest.mark.parametrize("case", BODIES)
def test_no_log_has_a_text(folder, caplog, capfd, case):
    body = BODIES[case]
    content = body if isinstance(body, str) else json.dumps(body)
    caplog.set_level(logging.DEBUG)
    with running_server(folder, options=ServeOptions(rest_port=0, grpc=False, log_requests=True)) as server:
        answer = httpx.post(f"{server.url}/v1/models/texts:predict", content=content)
        metrics = httpx.get(f"{server.url}/monitoring/prometheus/metrics").text
    assert (answer.status_code == 200) == (case == "answered")
    # httpx logs in this process too, but it is the client.
    kept = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    (line,) = [record.getMessage() for record in kept if record.name == "kbert.serving.requests"]
    assert (json.loads(line)["model"], json.loads(line)["code"]) == ("texts", CODES.get(case, "INVALID_ARGUMENT"))
    assert not any(SECRET in record.getMessage() for record in kept)
    assert SECRET not in "".join(capfd.readouterr())
    assert SECRET not in metrics

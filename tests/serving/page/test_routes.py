import json
import re
from importlib import resources

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from kbert.serving.page.routes import page_routes

STATIC = resources.files("kbert.serving.page").joinpath("static-files")
NAMES = sorted(file.name for file in STATIC.iterdir())
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


@pytest.fixture
def models():
    return {"models": []}


@pytest.fixture
def client(models):
    return TestClient(Starlette(routes=page_routes(lambda: models)))


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/page/app.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
        ("/page/examples.json", "application/json"),
        ("/openapi.json", "application/json"),
    ],
)
def test_files_have_their_types_and_the_headers_of_security(client, path, content_type):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == content_type
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"


def test_every_file_is_served_and_nothing_else(client):
    assert {"index.html", "app.js", "style.css", "examples.json"} <= set(NAMES)
    for name in NAMES:
        path = "/" if name == "index.html" else f"/page/{name}"
        assert client.get(path).content == STATIC.joinpath(name).read_bytes()
    for path in ("/page/", "/page/index.html", "/page/..%2froutes.py", "/page/app.js.map", "/page"):
        assert client.get(path).status_code == 404
    assert client.post("/").status_code == 405


def test_a_file_that_the_client_has_is_not_sent_again(client):
    first = client.get("/page/app.js")
    tag = first.headers["etag"]
    assert re.fullmatch('"[0-9a-f]{32}"', tag)
    assert client.get("/page/style.css").headers["etag"] != tag
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get("/page/app.js", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["content-security-policy"] == POLICY
    for known in ('"other"', tag[:-2] + '"', ""):
        assert client.get("/page/app.js", headers={"if-none-match": known}).status_code == 200


def test_head_has_the_headers_alone(client):
    answer = client.head("/")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len(STATIC.joinpath("index.html").read_bytes())


def test_the_openapi_document_follows_the_models(client, models):
    before = client.get("/openapi.json")
    assert before.json()["openapi"] == "3.1.0"
    signature = {"inputs": {"text": {"dtype": "DT_STRING", "shape": [-1]}}, "outputs": {}}
    models["models"] = [
        {"name": "电影", "versions": [], "manifest": None, "signatures": {"serving_default": signature}}
    ]
    after = client.get("/openapi.json", headers={"if-none-match": before.headers["etag"]})
    assert after.status_code == 200
    assert "/v1/models/%E7%94%B5%E5%BD%B1:predict" in after.json()["paths"]


def test_the_guard_refuses_the_document_and_not_the_page():
    def guard(endpoint):
        async def refuse(request):
            return PlainTextResponse("no", 401)

        return refuse

    client = TestClient(Starlette(routes=page_routes(lambda: {"models": []}, guard=guard)))
    assert client.get("/openapi.json").status_code == 401
    assert client.get("/").status_code == 200
    assert client.get("/page/app.js").status_code == 200


def test_the_page_loads_nothing_from_elsewhere_and_has_no_inline_code():
    html = STATIC.joinpath("index.html").read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert {"page/app.js", "page/theme.js", "page/style.css"} <= set(sources)
    local = {f"page/{name}" for name in NAMES} | {"openapi.json", "#ask"}
    assert set(sources) <= local
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)", html) == []
    for name in NAMES:
        text = STATIC.joinpath(name).read_text(encoding="utf-8")
        assert (
            re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|@import|\burl\(", text) == []
        )
        assert set(re.findall(r"https?://\S+", text)) <= {'http://www.w3.org/2000/svg"'}
        imported = re.findall(r'from "\./([^"]+)"', text)
        assert set(imported) <= set(NAMES)


def test_the_examples_are_texts_for_inputs():
    examples = json.loads(STATIC.joinpath("examples.json").read_text(encoding="utf-8"))
    assert examples["question-answering"].keys() == {"question", "context"}
    assert all(isinstance(value, str | list) for inputs in examples.values() for value in inputs.values())

"""The server over HTTP, with a search that counts words; test_models.py has models."""

import json
import logging
import queue
import socket
import threading
import time

import httpx
import pytest

from apps.customer_service.api import Settings, make_app
from apps.customer_service.json_requests import MOST_BYTES, MOST_CHARACTERS
from apps.customer_service.server import running


@pytest.fixture
def serve(store, make_assistant):
    """Starts the server, and gives a client."""
    stacks = []

    def start(assistant=None, **settings):
        server = running(make_app(assistant or make_assistant(), store, Settings(**settings)))
        client = httpx.Client(base_url=server.__enter__(), timeout=30)
        stacks.append((server, client))
        return client

    yield start
    for server, client in stacks:
        client.close()
        server.__exit__(None, None, None)


def ask(client, question, conversation=None):
    answer = client.post("/api/ask", json={"question": question, "conversation": conversation})
    assert answer.status_code == 200, answer.text
    return answer.json()


def error(answer):
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()["error"]


def test_a_conversation(serve, store):
    client = serve(contact="Call 0800.")
    assert client.get("/health").json() == {"status": "ok"}
    info = client.get("/api/info").json()
    assert (info["faqs"], info["categories"], info["threshold"]) == (4, 3, 0.6)
    assert "I lost my bag on the tram" in info["examples"]

    first = ask(client, "How much is a ticket?")
    assert (first["decision"], first["faq"]["id"], first["contact"], first["turn"]) == ("answer", "price", "", 1)
    assert first["text"] == "A ticket costs 3 euros.\nCards are accepted."
    name = first["conversation"]
    second = ask(client, " and the child? ", name)
    assert (second["faq"]["id"], second["used_context"], second["turn"]) == ("child", True, 2)
    third = ask(client, "Is my bag found?", name)
    assert (third["decision"], third["reason"], third["contact"]) == ("hand_over", "unsure", "Call 0800.")

    def judge(**values):
        return client.post("/api/feedback", json={"conversation": name, **values})

    assert judge(turn=1, helpful=True).json() == {"faq": None, "answer": None}
    chosen = judge(turn=3, right_faq="lost").json()
    assert (chosen["faq"]["id"], chosen["answer"]) == ("lost", "See https://example.org/lost, please.")
    kept = client.get(f"/api/conversations/{name}").json()["turns"]
    assert [(turn["question"], turn["helpful"], turn["right_faq"]) for turn in kept] == [
        ("How much is a ticket?", True, None),
        ("and the child?", None, None),
        ("Is my bag found?", None, "lost"),
    ]
    assert client.post(f"/api/conversations/{name}/person").json() == {"contact": "Call 0800."}
    assert [each.conversation for each in store.waiting()] == [name]

    assert client.delete(f"/api/conversations/{name}").status_code == 204
    assert error(client.get(f"/api/conversations/{name}"))[0] == 404
    assert store.counts()["questions"] == 0


def test_two_unhelpful_answers_are_enough(serve):
    client = serve()
    name = ask(client, "How much is a ticket?")["conversation"]
    ask(client, "How much is a ticket?", name)
    for turn in (1, 2):
        client.post("/api/feedback", json={"conversation": name, "turn": turn, "helpful": False})
    assert ask(client, "How much is a ticket?", name)["reason"] == "repeated"


HOSTILE = [
    ("null", 400, "expected a JSON object. Received: null"),
    ("[]", 400, "expected a JSON object. Received: a list"),
    ("{", 400, "expected JSON in UTF-8"),
    ("[" * 10_000, 400, "expected JSON in UTF-8"),
    ('{"question": ' + "9" * 5000 + "}", 400, "expected JSON in UTF-8"),
    (b'{"question": "\xff"}', 400, "expected JSON in UTF-8"),
    ("{}", 400, "expected question: a text. Received: no such key"),
    ('{"question": null}', 400, "expected question: a text. Received: null"),
    ('{"question": ["a"]}', 400, "expected question: a text. Received: a list"),
    ('{"question": "a", "conversation": 1}', 400, "expected conversation: a text or null. Received: a whole number"),
    ('{"question": "a", "admin": true}', 400, "expected the keys question, conversation. Received: 'admin'"),
    ('{"question": " \\n"}', 400, "expected a question. Received: an empty text"),
    (
        '{"question": "\\ud800"}',
        400,
        "expected question: a text in Unicode. Received: half of a surrogate pair",
    ),
    (
        json.dumps({"question": "a" * (MOST_CHARACTERS + 1)}),
        400,
        "expected a question of at most 1000 characters. Received: 1001 characters",
    ),
    ('{"question": "' + "a" * MOST_BYTES + '"}', 413, "expected a body of at most 16384 bytes. Received: more"),
    (
        '{"question": "a", "conversation": "x\' OR 1=1 --"}',
        404,
        "expected the id of a conversation. Received: one that does not exist, or was deleted",
    ),
]


def test_hostile_bodies(serve, store):
    client = serve()
    for body, status, message in HOSTILE:
        answer = client.post("/api/ask", content=body, headers={"content-type": "application/json"})
        assert error(answer) == (status, message), body[:60]
    answer = client.post("/api/ask", content='{"question": "a"}', headers={"content-type": "text/plain"})
    assert error(answer) == (415, "expected the header Content-Type: application/json")
    assert store.counts()["conversations"] == 0
    # Texts that are odd, but texts.
    for question in ("\0", "a\0b", "\u202e" * 50, "<script>alert(1)</script>", "a" * MOST_CHARACTERS, "🎫" * 300):
        assert ask(client, question)["decision"] in ("answer", "hand_over")


def test_what_does_not_exist(serve):
    client = serve()
    name = ask(client, "How much is a ticket?")["conversation"]

    def judge(**values):
        return error(client.post("/api/feedback", json={"conversation": name, **values}))

    assert judge(turn=1) == (400, "expected helpful or right_faq. Received: neither")
    assert judge(turn=9, helpful=True) == (404, "expected a turn of a conversation. Received: one that does not exist")
    assert judge(turn=1 << 70, helpful=True)[0] == 404
    assert judge(turn=True, helpful=True) == (400, "expected turn: a whole number. Received: true or false")
    assert judge(turn=1, right_faq="none")[0] == 404
    assert judge(turn=1, right_faq="_thanks")[0] == 404
    assert error(client.get("/api/ask")) == (405, "Method Not Allowed")
    assert error(client.get("/page/../api.py"))[0] == 404
    assert error(client.get("/page/%2e%2e/api.py"))[0] == 404
    assert error(client.delete("/api/conversations/none"))[0] == 404


def test_logs_have_no_texts(serve, make_assistant, caplog):
    caplog.set_level(logging.DEBUG)

    def search(*texts):
        raise ValueError(f"cannot search {texts}")

    assistant = make_assistant()
    client = serve(assistant)
    name = ask(client, "How much is a ticket, says Grace Hopper?")["conversation"]
    client.get(f"/api/conversations/{name}")
    assistant.reply = search
    answer = client.post("/api/ask", json={"question": "Where does Grace Hopper live?"})
    assert error(answer) == (500, "the server failed; its log says where")
    client.delete(f"/api/conversations/{name}")
    own = [record.getMessage() for record in caplog.records if record.name == "customer_service"]
    assert len(own) == 3
    assert own[1].startswith("ValueError in ")
    everything = "\n".join(
        str(record.getMessage()) + str(record.exc_info)
        for record in caplog.records
        if record.name.partition(".")[0] not in ("httpx", "httpcore")
    )
    assert "Hopper" not in everything
    assert "ticket" not in everything
    assert name not in everything


def test_a_busy_server_says_so(serve, make_assistant):
    assistant = make_assistant()
    go, reply = threading.Event(), assistant.reply

    def slow(*arguments):
        go.wait(30)
        return reply(*arguments)

    assistant.reply = slow
    client = serve(assistant, computing=1, waiting=1)
    answers = queue.Queue()

    def post():
        answers.put(httpx.post(client.base_url.join("/api/ask"), json={"question": "How much?"}, timeout=60))

    threads = [threading.Thread(target=post) for _ in range(3)]
    for thread in threads:
        thread.start()
    # One is computed and one waits; the third is refused at once.
    refused = answers.get(timeout=30)
    assert error(refused) == (503, "the server is busy; ask again in some seconds")
    assert refused.headers["retry-after"] == "2"
    assert client.get("/health").status_code == 200
    go.set()
    assert [answers.get(timeout=30).status_code for _ in range(2)] == [200, 200]
    for thread in threads:
        thread.join()


def test_a_body_that_ends_early_harms_nobody(serve):
    client = serve()
    host, port = client.base_url.host, client.base_url.port
    with socket.create_connection((host, port)) as connection:
        connection.sendall(
            b"POST /api/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
    assert ask(client, "How much is a ticket?")["decision"] == "answer"


def test_old_conversations_are_deleted_at_the_start(serve, store):
    from apps.customer_service.dialogue import ANSWER, Reply

    name = store.start()
    store.add(name, "x", Reply(ANSWER, "", "en", understood="x"))
    store._database.execute("UPDATE conversations SET last = last - 86400 * 3")
    client = serve(retention_days=2.5)
    deadline = time.monotonic() + 20
    while store.counts()["conversations"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert error(client.get(f"/api/conversations/{name}"))[0] == 404


def test_the_page_and_its_headers(serve):
    client = serve()
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    again = client.get("/", headers={"if-none-match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    script = client.get("/page/chat.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert client.get("/api/info").headers["cache-control"] == "no-store"

import json
import socket

import pytest
from click.testing import CliRunner

from apps.customer_service.cli import main
from apps.customer_service.dialogue import HAND_OVER, Reply


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


def test_ask(run, faq_file):
    result = run("ask", faq_file, "How much is a ticket?", "and for a child?", "--model", "words", "--threshold", "0.5")
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["decision"], first["faq"]["id"]) == ("answer", "price")
    assert (second["faq"]["id"], second["question"]) == ("child", "and for a child?")


def test_evaluate(run, faq_file, tmp_path):
    questions = tmp_path / "q.csv"
    questions.write_text("id,question\nchild,What does a child pay?\nlost,Is my bag found?\n")
    outside = tmp_path / "o.csv"
    outside.write_text("text\nWhere is the moon?\n")
    options = ("--out-of-scope", outside, "--out-of-scope-column", "text", "--model", "words", "--json")
    found = json.loads(run("evaluate", faq_file, questions, *options).stdout)
    assert found["questions"] == 2
    assert found["out-of-scope AUROC"] == 1.0
    table = run("evaluate", faq_file, "--model", "words").stdout
    assert table.splitlines()[0].split() == ["questions", "2"]
    single = tmp_path / "single.csv"
    single.write_text("question,answer\nWhere is my bag?,Bags are at the station.\nWho?,We.\n")
    table = run("evaluate", single, "--model", "words").stdout
    assert table.splitlines()[0].split() == ["answers", "2"]
    result = run("evaluate", single, *options)
    assert result.exit_code == 2
    expected = "--out-of-scope needs QUESTIONS.csv, or FAQs with several phrasings. Received: none"
    assert expected in result.stderr


def test_errors_are_one_line(run, tmp_path, faq_file):
    bad = tmp_path / "bad.csv"
    bad.write_text("question,answer\nx\n")
    result = run("ask", bad, "x", "--model", "words")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith(f"Error: {bad}:2: expected 2 cells, as in the header. Received: 1")
    result = run("serve", faq_file, "--model", "words", "--person-category", "cars")
    assert result.exit_code == 2
    expected = "--person-category must be a category of the FAQs (complaints, lost property, tickets). Received: cars"
    assert expected in result.stderr
    result = run("feedback", "show", "--store", "none.sqlite")
    assert result.exit_code == 1
    assert (
        result.stderr == "Error: expected a store. Received: none.sqlite, which does not exist; name it with --store\n"
    )
    assert run("forget").exit_code == 2
    assert run("forget", "x", "--older-than", "3").exit_code == 2


def test_a_port_that_is_taken(run, faq_file):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run("serve", faq_file, "--model", "words", "--port", port)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: expected an address to listen at. Received: 127.0.0.1, port {port} (Address already in use); "
        "name another with --host or --port"
    )


def test_the_store(run, store, faq_file, tmp_path):
    unsure = Reply(HAND_OVER, "", "en", reason="unsure", understood="kids, how much?")
    name = store.start()
    store.add(name, "kids, how much?", unsure)
    option = ("--store", store.path)
    (line,) = run("waiting", *option).stdout.splitlines()
    assert (json.loads(line)["conversation"], json.loads(line)["reason"]) == (name, "unsure")
    assert json.loads(run("waiting", *option, "--read", name).stdout)["question"] == "kids, how much?"
    assert run("waiting", *option, "--take", name).stdout == ""

    result = run("feedback", "export", faq_file, *option, "--output", "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: expected feedback of customers. Received: none that counts")
    store.judge(name, 1, right_faq="child")
    result = run("feedback", "export", faq_file, *option, "--output", "out")
    assert result.stdout.splitlines() == [
        "out/embedding.csv: 2 rows",
        "out/classification.csv: 6 rows",
        "out/ranking.jsonl: 1 rows",
        "out/faqs.csv: 6 rows",
        "1 questions have a right FAQ, 0 wrong answers are known, 0 judgements were left out",
    ]
    asked = json.loads(run("ask", "out/faqs.csv", "kids, how much?", "--model", "words").stdout)
    assert asked["faq"]["id"] == "child"
    assert asked["confidence"] > 1

    assert json.loads(run("feedback", "show", *option, "--json").stdout)["right FAQ chosen"] == 1
    assert run("forget", name, *option).stdout == "conversations deleted: 1\n"
    result = run("forget", name, *option)
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: expected the id of a conversation. Received: one that does not exist, or was deleted\n",
    )
    assert run("forget", "--older-than", "0", *option).stdout == "conversations deleted: 0\n"

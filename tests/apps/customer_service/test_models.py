"""The app with models of kbert, tiny ones with random weights, over HTTP and through the command line."""

import csv
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import kbert
from apps.customer_service.assembly import Models, make_assistant
from apps.customer_service.dialogue import ANSWER, PastTurn, Reply
from apps.customer_service.faqs import Faq, read_faqs
from apps.customer_service.models import Intent, IntentClassifier, ModelError, load_re_ranker
from apps.customer_service.training_files import feedback_of, write_training_files

REPOSITORY = Path(__file__).parents[3]
FAQS = [
    Faq("cat", ("the cat sat", "slow cats sat on mats"), "About cats.", "good"),
    Faq("dog", ("a dog ran",), "About dogs.", "bad"),
    Faq("mat", ("the mat",), "About mats.", "fine"),
]


@pytest.fixture(scope="module")
def assistant(embedder):
    return make_assistant(FAQS, Models(embedder), threshold=0.999)


def test_a_phrasing_finds_its_answer(assistant):
    for faq in FAQS:
        for question in faq.questions:
            reply = assistant.reply(question)
            assert (reply.decision, reply.faq.id) == (ANSWER, faq.id)
            assert reply.confidence > 1 - 1e-5
    assert assistant.reply("fast dogs").reason == "unsure"
    assert assistant.reply("你好吗").reason == "unreadable"
    assert assistant.reply("ran", [PastTurn("a dog")]).faq.id == "dog"


def test_scores_are_the_cosines_of_the_model(assistant, embedder):
    (found,) = assistant.understand([("fast dogs", ())])
    vectors = kbert.load(embedder).answers(["fast dogs", *(text for faq in FAQS for text in faq.questions)])["vector"]
    cosines = vectors[1:] @ vectors[0]
    expected = {"cat": max(cosines[:2]), "dog": cosines[2], "mat": cosines[3]}
    scores = {candidate.faq.id: candidate.score for candidate in found.candidates}
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-5)


@pytest.mark.long
def test_prompts_and_pooling(pretrained):
    models = Models(pretrained, pooling="mean", query_prompt="the ", faq_prompt="the ")
    (found,) = make_assistant(FAQS, models).understand([("a dog ran", ())])
    assert found.candidates[0].score == pytest.approx(1, abs=1e-5)
    with pytest.raises(kbert.KbertError, match=r"or an encoder with --pooling\. Received: "):
        make_assistant(FAQS, Models(pretrained))


@pytest.mark.long
def test_a_ranker(assistant, embedder, ranker):
    reply = make_assistant(FAQS, Models(embedder, rerank=ranker), threshold=-100).reply("fast dogs")
    (found,) = assistant.understand([("fast dogs", ())])
    texts = [candidate.phrasing for candidate in found.candidates]
    (answer,) = kbert.load(ranker).predict(["fast dogs"], [texts])
    best, second = sorted(answer["scores"], reverse=True)[:2]
    assert reply.confidence == pytest.approx(best + (best - second), abs=1e-5)
    with pytest.raises(ModelError, match=r"^--rerank must be a model of .*Received: .*, a model for embedding$"):
        load_re_ranker(embedder)


@pytest.mark.long
def test_a_classifier(embedder, classifier):
    (answer,) = kbert.load(classifier).predict(["fast dogs"])
    label = answer["label"]
    intents = IntentClassifier(classifier, ["good", "bad", "fine"])
    assert intents(["fast dogs"]) == [Intent(label, pytest.approx(answer["probabilities"][label]), False)]
    reply = make_assistant(FAQS, Models(embedder, intents=classifier), threshold=-1).reply("fast dogs")
    assert reply.faq.category == label
    (unsure,) = IntentClassifier(classifier, ["good"], abstain_below=1.0)(["fast dogs"])
    assert unsure.abstained
    with pytest.raises(ModelError, match=r"^--intents must be .* categories of the FAQs \(other\)\. Received: "):
        IntentClassifier(classifier, ["other", ""])
    with pytest.raises(ModelError, match=r", a model for embedding; fine-tune one with the file classification\.csv"):
        IntentClassifier(embedder, ["good"])


@pytest.mark.long
def test_the_program(tmp_path, embedder):
    """The command line serves, answers over HTTP, and stops."""
    table = tmp_path / "faq.csv"
    with open(table, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [("question", "answer"), *((text, faq.answer) for faq in FAQS for text in faq.questions)]
        )
    command = [sys.executable, "-m", "apps.customer_service", "serve", str(table), "--model", str(embedder)]
    command += ["--threshold", "0.999", "--port", "0", "--store", str(tmp_path / "data" / "store.sqlite")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(REPOSITORY)])}
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as program:
        try:
            lines = []
            for line in program.stderr:
                lines.append(line)
                if "FAQs at" in line:
                    break
            assert lines, "the program ended"
            assert "FAQs at" in lines[-1], lines
            url = re.search(r"http://\S+", lines[-1])[0]
            answer = httpx.post(f"{url}/api/ask", json={"question": "a dog ran"}, timeout=60).json()
            assert (answer["decision"], answer["text"]) == ("answer", "About dogs.")
            assert httpx.get(url, timeout=60).status_code == 200
        finally:
            program.send_signal(signal.SIGTERM)
        rest = program.stderr.read()
    assert (tmp_path / "data" / "store.sqlite").is_file()
    assert "a dog ran" not in "".join(lines) + rest
    assert "Traceback" not in rest


@pytest.mark.long
def test_feedback_becomes_models(tmp_path, store, vocabulary, pretrained):
    """What customers say is exported, `kbert.finetune` takes it, and the app takes the new models."""
    questions = {"cat": "unaffable cats on mats", "dog": "fast dogs ran", "mat": "a mat"}
    name = store.start()
    for number, (faq, question) in enumerate(questions.items(), start=1):
        store.add(name, question, Reply(ANSWER, "", "en", understood=question, faq=FAQS[0]))
        store.judge(name, number, helpful=faq == "cat", right_faq=None if faq == "cat" else faq)
    counts = write_training_files(tmp_path / "out", feedback_of(store.judged(), FAQS), FAQS)
    assert counts == {"embedding.csv": 4, "classification.csv": 7, "ranking.jsonl": 3, "faqs.csv": 7}
    settings = {"model": pretrained, "epochs": 1, "batch_size": 2, "sequence_length": 16}
    trained = {}
    for name in ("embedding.csv", "classification.csv", "ranking.jsonl"):
        task, file = name.partition(".")[0], tmp_path / "out" / name
        trained[task] = tmp_path / task
        kbert.finetune(task, train=file, validation=file, output=trained[task], **settings)
    models = Models(trained["embedding"], rerank=trained["ranking"], intents=trained["classification"])
    faqs = read_faqs(tmp_path / "out" / "faqs.csv")
    assert [faq.id for faq in faqs] == ["cat", "dog", "mat"]
    reply = make_assistant(faqs, models, threshold=-100).reply("fast dogs ran")
    assert reply.decision == ANSWER
    assert reply.intent.category in ("good", "bad", "fine")

"""Imports every module and runs every command once, on the current Python: `tox -e py310` to `py313`."""

import importlib
import itertools
import json
import pkgutil
import shutil
import urllib.request

import pytest
from click.testing import CliRunner

import kbert
from kbert.cli.main import main
from kbert.serving.server import running_server

pytestmark = pytest.mark.smoke

WORDS = "the a cat dog sat on mat ran fast slow unaffable".split()


def kbert_command(*arguments):
    """Runs a command in this process; it must end well. Gives its standard output."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, (arguments, result.output)
    return result.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the commands that come first leave behind."""
    root = tmp_path_factory.mktemp("made")
    text = root / "text.txt"
    phrases = itertools.product(["slow", "fast"], ["cat", "dog"], ["sat on", "ran to"], ["mat", "dog"])
    sentences = ["The {} {} {} the {}.".format(*words) for words in phrases]
    text.write_text("\n\n".join("\n".join(sentences[start:] + sentences[:start]) for start in range(len(sentences))))
    table = root / "table.csv"
    rows = [f"{sentence},{'cat' if 'cat' in sentence else 'dog'}" for sentence in sentences]
    table.write_text("text,label\n" + "\n".join(rows) + "\n")
    kbert_command("vocab", "train", text, "--size", "60", "--minimum-frequency", "1", "--output", root / "vocab.txt")
    kbert_command(
        *("corpus", "build", text, "--vocab", root / "vocab.txt", "--sequence-length", "32", "--workers", "1"),
        *("--output", root / "corpus"),
    )
    kbert_command(
        *("pretrain", "--corpus", root / "corpus", "--model", "tiny", "--steps", "2", "--batch-size", "4"),
        *("--output", root / "pretrained"),
    )
    kbert_command(
        *("finetune", "classification", "--model", root / "pretrained", "--train", table, "--validation", table),
        *("--epochs", "1", "--sequence-length", "16", "--output", root / "classifier"),
    )
    return root


def test_every_module_is_imported():
    names = [module.name for module in pkgutil.walk_packages(kbert.__path__, "kbert.")]
    assert len(names) > 200
    optional = {"kbert.corpus.building.beam"}  # needs Apache Beam
    for name in names:
        if name not in optional:
            importlib.import_module(name)
    for name in kbert.__all__:
        getattr(kbert, name)


def test_vocabularies_and_corpora_are_shown(made):
    assert "sat" in (made / "vocab.txt").read_text()
    kbert_command("vocab", "inspect", made / "vocab.txt", "--sample", made / "text.txt")
    kbert_command("corpus", "inspect", made / "corpus")
    domain = made / "domain.txt"
    domain.write_text("the dogmat sat on the catmat\n" * 3)
    kbert_command(
        "vocab",
        "extend",
        made / "pretrained",
        "--input",
        domain,
        "--add",
        "2",
        "--minimum-frequency",
        "1",
        "--output",
        made / "extended",
    )


def test_a_pretrained_model(made):
    kbert_command("evaluate", made / "pretrained", "--corpus", made / "corpus")
    kbert_command("fill-mask", made / "pretrained", "the [MASK] sat")
    kbert_command("inspect", made / "pretrained")
    kbert_command("convert", made / "pretrained", made / "google", "--to", "google")
    kbert_command("convert", made / "google", made / "back")


def test_a_fine_tuned_model(made):
    metrics = json.loads(kbert_command("evaluate", made / "classifier", "--data", made / "table.csv", "--json"))
    assert metrics["examples"] == 16
    assert "cat" in kbert_command("predict", made / "classifier", "the cat sat", "--json")
    kbert_command("report", made / "classifier", "--output", made / "report.html")


def test_vectors_are_searched(made):
    pairs = made / "pairs.csv"
    pairs.write_text("text,pair\n" + "".join(f"the {word},a {word}\n" for word in WORDS))
    kbert_command(
        *("finetune", "embedding", "--model", made / "pretrained", "--train", pairs, "--validation", pairs),
        *("--pair-column", "pair", "--epochs", "1", "--sequence-length", "16", "--output", made / "vectors"),
    )
    documents = made / "documents.jsonl"
    documents.write_text("".join(json.dumps({"id": word, "text": f"the {word}"}) + "\n" for word in WORDS))
    kbert_command("index", "build", made / "vectors", "--input", documents, "--output", made / "index")
    assert len(kbert_command("search", made / "index", "the cat", "--top", "2", "--json").splitlines()) >= 1


@pytest.mark.parametrize(
    ("task", "lines", "options"),
    [
        ("tagging", ["the\tO", "cat\tB-X", "", "a\tO", "dog\tB-X", ""], []),
        ("regression", ["text,label", "the cat,1", "a dog,2", "fast,3"], []),
        ("multilabel", ["text,label", "the cat,a|b", "a dog,b", "fast,a"], []),
        ("multiple-choice", ["prompt,x,y,label", "the,cat,dog,0", "a,cat,dog,1"], ["--choices-column", "x,y"]),
        ("ranking", ["query,candidate", "the cat,sat", "a dog,ran"], ["--candidates", "2"]),
    ],
)
def test_the_other_tasks_of_tables(made, task, lines, options):
    path = made / f"{task}.{'conll' if task == 'tagging' else 'csv'}"
    path.write_text("\n".join(lines) + "\n")
    kbert_command(
        *("finetune", task, "--model", made / "pretrained", "--train", path, "--validation", path, *options),
        *("--epochs", "1", "--batch-size", "2", "--sequence-length", "16", "--output", made / task),
    )


def test_question_answering_and_summarization(made):
    context = "the cat sat on the mat"
    answers = [{"text": "the cat", "answer_start": 0}]
    squad = {
        "data": [{"paragraphs": [{"context": context, "qas": [{"id": "1", "question": "who", "answers": answers}]}]}]
    }
    (made / "squad.json").write_text(json.dumps(squad))
    (made / "documents-to-sum-up.jsonl").write_text(
        json.dumps({"text": ["the cat sat", "a dog ran"], "summary": "the cat"}) + "\n"
    )
    for task, path, options in (
        ("question-answering", made / "squad.json", []),
        ("summarization", made / "documents-to-sum-up.jsonl", ["--summary-column", "summary", "--sentences", "1"]),
    ):
        kbert_command(
            *("finetune", task, "--model", made / "pretrained", "--train", path, "--validation", path, *options),
            *("--epochs", "1", "--batch-size", "1", "--sequence-length", "24", "--output", made / task),
        )


def test_exports_are_served(made):
    kbert_command("export", "saved-model", made / "classifier", "--output", made / "served" / "animals")
    kbert_command("export", "litert", made / "classifier", "--output", made / "animals.tflite")
    with running_server(made / "served") as server:
        request = urllib.request.Request(
            f"{server.url}/v1/models/animals:predict", json.dumps({"instances": ["the cat sat"]}).encode()
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            assert json.load(response)["predictions"][0]["label"] in ("cat", "dog")


def test_hyper_parameters_are_searched(made):
    pytest.importorskip("optuna", reason="needs the extra tune")
    kbert_command(
        *("tune", "classification", "--model", made / "pretrained", "--train", made / "table.csv"),
        *("--validation", made / "table.csv", "--trials", "1", "--epochs", "1", "--sequence-length", "16"),
        *("--output", made / "trials"),
    )
    shutil.rmtree(made / "trials")

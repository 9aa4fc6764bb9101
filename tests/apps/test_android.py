"""The logic of the Android app gives the answers that kbert gives. Debian's packages compile it for a JVM."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from every_task import TASKS

from kbert.export.phone.export import export_litert
from kbert.inference.litert_model import interpreter
from kbert.layers.crf import TABLES
from kbert.prediction.loading import load
from kbert.tasks.question_answering import QuestionAnsweringTask

FOLDER = Path(__file__).parents[2] / "apps" / "android"
SOURCES = FOLDER / "logic" / "src"
JARS = Path("/usr/share/java")
JSON, KOTLIN = JARS / "com.android.json.jar", JARS / "kotlin-stdlib.jar"
JUNIT = (JARS / "junit4.jar", JARS / "hamcrest.jar")
FUNCTIONS = "codePoints softmax topLabels words entities bestSpans answer nextWindow settings".split()

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The class path of the compiled logic, of the program that answers cases, and of the unit tests."""
    needed = [tool for tool in ("kotlinc", "java") if not shutil.which(tool)]
    needed += [str(jar) for jar in (JSON, KOTLIN, *JUNIT) if not jar.exists()]
    if needed:
        packages = "kotlin libandroid-json-java junit4"
        pytest.skip(f"needs {', '.join(needed)}: apt-get install --no-install-recommends {packages}")
    jar = tmp_path_factory.mktemp("kotlin") / "logic.jar"
    libraries = ":".join(map(str, (JSON, *JUNIT)))
    sources = [str(path) for path in SOURCES.rglob("*.kt")]
    done = subprocess.run(
        ["kotlinc", "-cp", libraries, *sources, "-d", str(jar)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert ": warning:" not in done.stderr
    return f"{jar}:{KOTLIN}:{libraries}"


@pytest.fixture(scope="module")
def command(program):
    return ["java", "-cp", program, "com.example.kbert.logic.CheckKt"]


@pytest.fixture(scope="module")
def answers(command, phone_cases, answers_of):
    return answers_of(command, phone_cases)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_answers_are_those_of_kbert(function, phone_cases, answers, check_answers):
    assert set(phone_cases) == set(FUNCTIONS)
    check_answers(phone_cases[function], answers[function])


def test_the_unit_tests_of_the_app_pass(program):
    command = ["java", "-cp", program, "org.junit.runner.JUnitCore", "com.example.kbert.logic.LogicTest"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"OK \((\d+) tests\)", done.stdout)[1]) >= 10


# === Exported files, the texts of which go the way that they go in the app ===

TEXTS = ("The cat, a slow dog!", "\U0001f600 unaffable cats sat on 你 mat", "")


def code_points(text, length=64):
    return np.array([[ord(character) for character in text] + [0] * (length - len(text))], np.int32)


def exported(folder, path):
    """A function from code points to the outputs of an exported file, as lists."""
    content = export_litert(folder, output=path, input="codepoints", text_length=64).read_bytes()
    runner = interpreter(content, 1).get_signature_runner()

    def run(**inputs):
        return {name: values[0].tolist() for name, values in runner(**inputs).items()}

    return run


@pytest.mark.parametrize("task", ["tagging", "tagging with a CRF"])
def test_the_entities_of_an_exported_tagger(tmp_path, make_task_model, command, answers_of, check_answers, task):
    folder = make_task_model(tmp_path / "run", TASKS[task]())
    run = exported(folder, tmp_path / "m.tflite")
    model, cases = load(folder), []
    for text, predicted in zip(TEXTS, model.predict(list(TEXTS)), strict=True):
        outputs = run(code_points=code_points(text))
        case = {"function": "entities", "text": text, "labels": model.task.labels, "perWord": False, **outputs}
        if "transitions" in outputs:
            case["tables"] = dict(zip(("start", "end", "transitions"), (outputs[name] for name in TABLES), strict=True))
        wide = [len(text[:place].encode("utf-16-le")) // 2 for place in range(len(text) + 1)]
        entities = [
            [span["label"], wide[span["start"]], wide[span["end"]], span["text"], span["score"]]
            for span in predicted["spans"]
        ]
        cases.append((case, entities))
    assert any(entities for _, entities in cases)
    check_answers(cases, answers_of(command, {"entities": cases})["entities"])


def test_the_answers_of_an_exported_model_for_questions(tmp_path, make_task_model, command, answers_of, check_answers):
    folder = make_task_model(tmp_path / "run", QuestionAnsweringTask(max_answer_length=5))
    run = exported(folder, tmp_path / "m.tflite")
    question = "a dog ?"
    settings, cases = (folder / "kbert.json").read_text(encoding="utf-8"), []
    contexts = ["the cat sat on the mat", "the \U0001f600 slow dog, unaffable", "fast"]
    for context, predicted in zip(contexts, load(folder).predict([question] * 3, contexts), strict=True):
        outputs = run(code_points=code_points(question), code_points_pair=code_points(context))
        names = {"start_logits": "startLogits", "end_logits": "endLogits", "starts": "starts", "ends": "ends"}
        window = {name: outputs[output] for output, name in names.items()}
        wide = [len(context[:place].encode("utf-16-le")) // 2 for place in range(len(context) + 1)]
        found = [predicted["answer"], wide[predicted["start"]], wide[predicted["end"]], predicted["score"]]
        case = {"function": "answer", "context": context, "settings": settings, "windows": [{**window, "begin": 0}]}
        cases.append((case, found))
    check_answers(cases, answers_of(command, {"answer": cases})["answer"])

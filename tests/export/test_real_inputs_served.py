"""SavedModels of all tasks answer hundreds of real inputs as `Predictor.predict` does, in a process without kbert."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from kbert.config import BertConfig
from kbert.export.saved_model import export_saved_model
from kbert.prediction.loading import load
from kbert.sources.bad_rows import BadRows
from kbert.tasks.factories import task_class
from kbert.tasks.protocol.answering import TextInput
from kbert.text.tokenizer import Tokenizer

pytestmark = pytest.mark.slow

REAL = 200
BAD = 10
"""Rows that a file may have that cannot be used: two documents have no text, and judgements name them."""
BATCHES = (1, 7, 64)
"""Rows of the first requests; the last one has all that are left. `predict` has other batches."""

# Reads a request a line, and writes an answer a line.
SERVE = """
import json, sys
sys.modules["kbert"] = None  # an import would fail
import tensorflow as tf
import tensorflow_text
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
def plain(value):
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value
for line in sys.stdin:
    answers = serve(**{name: tf.constant(texts) for name, texts in json.loads(line).items()})
    print(json.dumps({name: plain(values.numpy().tolist()) for name, values in answers.items()}))
"""

ODD = [
    "",
    " \t\r\n ",
    "\u200b\ufeff\xad",
    ".",
    "a\0b",
    "👍🏽👩‍👩‍👧 \ufffd",
    "[CLS] [SEP] [MASK] [PAD]",
    "ΣΊΣΥΦΟΣ ÉCOLE e\u0301 İ",
    "x" * 3_000,
]


# === What a client makes of the rows of the signature; written without kbert's own code for it ===


def labelled(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": row["label"], "probabilities": dict(zip(row["classes"], row["probabilities"], strict=True))}


def many_labelled(row: Mapping[str, Any]) -> dict[str, Any]:
    given = row["labels"][: row["count"]]
    return {"labels": given, "probabilities": dict(zip(row["classes"], row["probabilities"], strict=True))}


def number(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": row["value"]}


def chosen(row: Mapping[str, Any]) -> dict[str, Any]:
    probabilities = row["probabilities"][: row["count"]]
    return {"choice": row["choice"], "index": row["index"], "probabilities": probabilities}


def tagged(row: Mapping[str, Any]) -> dict[str, Any]:
    names = {"start": "starts", "end": "ends", "label": "labels", "text": "texts", "score": "scores"}
    return {"spans": [{key: row[name][i] for key, name in names.items()} for i in range(row["count"])]}


def answered(row: Mapping[str, Any]) -> dict[str, Any]:
    names = {"answer": "answers", "start": "starts", "end": "ends", "score": "scores"}
    best = [{key: row[name][i] for key, name in names.items()} for i in range(row["count"])]
    return {key: row[key] for key in ("answer", "start", "end", "score")} | {"answers": best}


def embedded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"vector": row["vector"]}


def ranked(row: Mapping[str, Any]) -> dict[str, Any]:
    order = row["order"][: row["count"]]
    places = max(order, default=-1) + 1
    numbers = {name: row[name][:places] for name in ("scores", "probabilities")}
    return {"best": row["best"], "order": order} | numbers


def summed_up(row: Mapping[str, Any]) -> dict[str, Any]:
    lists = {name: row[name][: row["count"]] for name in ("sentences", "indices", "probabilities")}
    return {"summary": " ".join(lists["sentences"])} | lists


def filled(row: Mapping[str, Any]) -> dict[str, Any]:
    places = range(row["count"])
    return {"masks": [dict(zip(row["pieces"][i], row["probabilities"][i], strict=True)) for i in places]}


@dataclasses.dataclass(frozen=True)
class Case:
    """A task with a real file.

    Args:
        task: Its name.
        file: Under the data folder.
        answer: Makes what `predict` gives out of a row of the signature.
        columns: Of the file.
        options: For reading, and for the task; files are under the data folder.
        settings: Of the task, in place of those found in the file.
        chinese: Whether the vocabulary is the Chinese one.
    """

    task: str
    file: str
    answer: Callable[[Mapping[str, Any]], dict[str, Any]]
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    chinese: bool = False


CRANFIELD = {"documents": "cranfield/cran.all.1400", "queries": "cranfield/cran.qry"}
CASES = {
    "classification": Case("classification", "sst2/dev.tsv", labelled, {"text": "sentence"}),
    "classification-chinese": Case(
        "classification", "zh_chnsenticorp/dev.tsv", labelled, {"text": "text_a"}, chinese=True
    ),
    "classification-77-labels": Case("classification", "banking77/test.csv", labelled, {"label": "category"}),
    "classification-pairs": Case(
        "classification",
        "mrpc/dev.tsv",
        labelled,
        {"text": "#1 String", "pair": "#2 String", "label": "Quality"},
    ),
    "multilabel": Case("multilabel", "movielens/movies.csv", many_labelled, {"text": "title", "label": "genres"}),
    "regression-pairs": Case(
        "regression", "stsb/dev.tsv", number, {"text": "sentence1", "pair": "sentence2", "label": "score"}
    ),
    "multiple-choice": Case(
        "multiple-choice", "codah/full_data.tsv", chosen, {"prompt": "2", "choices": "3-6", "label": "7"}
    ),
    "tagging": Case("tagging", "wnut17/emerging.dev.conll", tagged),
    "tagging-bioes": Case("tagging", "zh_cluener/dev.jsonl", tagged, options={"scheme": "bioes"}, chinese=True),
    "tagging-crf": Case("tagging", "wnut17/emerging.dev.conll", tagged, options={"crf": True}),
    "tagging-crf-chinese": Case("tagging", "zh_cluener/dev.jsonl", tagged, options={"crf": True}, chinese=True),
    "question-answering": Case("question-answering", "squad/dev.json", answered),
    "question-answering-chinese": Case(
        "question-answering",
        "zh_cmrc2018/cmrc2018_trial.json",
        answered,
        settings={"impossible": True, "null_threshold": -5.0},
        chinese=True,
    ),
    "embedding": Case("embedding", "cranfield/cranqrel", embedded, options=CRANFIELD),
    "embedding-cls": Case(
        "embedding", "zh_chnsenticorp/dev.tsv", embedded, {"text": "text_a"}, {"pooling": "cls"}, chinese=True
    ),
    "ranking": Case("ranking", "cranfield/cranqrel", ranked, options=CRANFIELD | {"loss": "sigmoid"}),
    "ranking-dialogues": Case("ranking", "sgd_dialogues/dialogues.jsonl", ranked, options={"responder": "S"}),
    "summarization": Case(
        "summarization", "scitldr/dev.jsonl", summed_up, {"text": "source", "label": "source_labels"}
    ),
    "fill-mask": Case("fill-mask", "sst2/dev.tsv", filled, {"text": "sentence"}),
}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All that a JSON value holds, with where it is."""
    if isinstance(value, (dict, list)):
        yield f"{path} size", len(value)
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, f"{path}/{key}")
    else:
        yield path, value


def parts(answers: list[dict[str, Any]]) -> tuple[list[list[tuple[str, Any]]], list[tuple[str, float]]]:
    """Of answers what must be equal, a list for each, and all numbers that may be rounded otherwise."""
    all_leaves = [list(leaves(answer)) for answer in answers]
    exact = [[leaf for leaf in found if not isinstance(leaf[1], float)] for found in all_leaves]
    numbers = [(f"{row}{path}", leaf) for row, found in enumerate(all_leaves) for path, leaf in found]
    return exact, [leaf for leaf in numbers if isinstance(leaf[1], float)]


def size(row: tuple[Any, ...]) -> int:
    return sum(len(text) if isinstance(text, str) else sum(map(len, text)) for text in row)


def chosen_rows(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The longest rows of a file, and others from all over it; 200."""
    longest = sorted(range(len(rows)), key=lambda index: -size(rows[index]))[:20]
    others = [index for index in range(len(rows)) if index not in set(longest)]
    places = np.linspace(0, len(others) - 1, REAL - len(longest)).astype(int)
    return [rows[index] for index in sorted([*longest, *(others[place] for place in places)])]


def odd_rows(real: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows with next to nothing in them, and with some 20,000 characters."""
    texts = [row[0] if isinstance(row[0], str) else " ".join(row[0]) for row in real]
    odd = [*ODD, " ".join(texts)[:20_000]]

    def row(index: int) -> tuple[Any, ...]:
        columns = [(odd[index], odd[-1 - index])[place % 2] for place in range(len(real[0]))]
        several = ["", odd[index], texts[index], "", odd[index - 1], odd[-1 - index]][: 1 + index]
        return tuple(
            text if isinstance(column, str) else several for text, column in zip(columns, real[0], strict=True)
        )

    return [row(index) for index in range(len(odd))]


def with_masks(text: str) -> str:
    """Every fifth word is to be found."""
    return " ".join("[MASK]" if place % 5 == 2 else word for place, word in enumerate(text.split(" ")))


def answers_without_kbert(folder: Any, requests: list[dict[str, Any]], cwd: Any) -> list[dict[str, Any]]:
    """The rows that a process without kbert answers."""
    result = subprocess.run(
        [sys.executable, "-c", SERVE, str(folder)],
        input="".join(json.dumps(request) + "\n" for request in requests),
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=3_600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    batches = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(batches) == len(requests)
    return [dict(zip(batch, values, strict=True)) for batch in batches for values in zip(*batch.values(), strict=True)]


def requests_of(rows: list[tuple[Any, ...]], texts: tuple[TextInput, ...]) -> list[dict[str, Any]]:
    """What a client sends: a column a text, lists of them padded with "" to the longest."""
    starts = [0, *np.cumsum(BATCHES).tolist()]
    requests = []
    for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
        request: dict[str, Any] = {}
        for text, column in zip(texts, zip(*rows[start:stop], strict=True), strict=True):
            most = max(map(len, column))
            request[text.name] = (
                [[*values, *[""] * (most - len(values))] for values in column] if text.is_list else column
            )
        requests.append(request)
    return requests


@pytest.mark.parametrize("name", CASES)
def test_the_served_answers_are_the_predicted_ones(tmp_path, data, make_task_model, name):
    case = CASES[name]
    tokenizer = Tokenizer(data / "vocab" / f"bert-base-{'chinese' if case.chinese else 'uncased'}.txt")
    config = BertConfig(
        vocab_size=len(tokenizer.vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    path = data / case.file
    options = {
        key: str(data / value) if key in ("documents", "queries") else value for key, value in case.options.items()
    }
    kind = task_class(case.task)
    if kind.info().trainable:
        examples = kind.read_examples(path, case.columns, options=options, bad=BadRows(BAD))
        found = kind.from_examples(examples, path, kind.info().choose_options(options))
        task = kind.from_settings(found.settings() | case.settings)
    else:
        task = kind()
    folder = make_task_model(tmp_path / "model", task, config=config, tokenizer=tokenizer, sequence_length=128)
    exported = export_saved_model(folder, output=tmp_path / "served")

    model = load(folder)
    examples = kind.read_examples(path, case.columns, options=options, targets=False, bad=BadRows(BAD))
    rows = chosen_rows(list(zip(*task.texts_of(examples).values(), strict=True)))
    if case.task == "fill-mask":
        rows = [(with_masks(text),) for (text,) in rows]
    rows += odd_rows(rows)
    texts = model.task.text_inputs
    asked = {text.column for text in texts}
    predictions = model.predict(*zip(*rows, strict=True))
    predicted = [{key: value for key, value in answer.items() if key not in asked} for answer in predictions]
    served = [case.answer(row) for row in answers_without_kbert(exported, requests_of(rows, texts), tmp_path)]

    assert len(served) == len(predicted) == len(rows) >= REAL + len(ODD)
    wanted, wanted_numbers = parts(predicted)
    exact, numbers = parts(served)
    wrong = [row for row in range(len(rows)) if exact[row] != wanted[row]]
    assert not wrong, (len(wrong), rows[wrong[0]], served[wrong[0]], predicted[wrong[0]])
    assert [place for place, _ in numbers] == [place for place, _ in wanted_numbers]
    differences = np.abs(np.array([number for _, number in numbers]) - [number for _, number in wanted_numbers])
    assert differences.max() <= 1e-5, numbers[int(differences.argmax())]
    # A model that answers the same to everything would prove nothing.
    rounded = {
        json.dumps([round(leaf, 3) if isinstance(leaf, float) else leaf for _, leaf in leaves(a)]) for a in served
    }
    different = {json.dumps(leaf) for leaf in exact}
    assert len(rounded) > REAL / 2
    assert len(different) > 1 or case.task in ("regression", "embedding")
    print(
        f"{name}: {len(rows)} rows, {len(numbers):,} numbers, largest difference {differences.max():.1g}; "
        f"{len(rounded)} different answers, {len(different)} but for numbers"
    )

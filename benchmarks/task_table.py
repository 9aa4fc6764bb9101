"""The rows of the table of benchmarks/tasks.py: the task, the metric, the options and the baseline of each data set."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import task_baselines as baselines
import task_data as rows
from scipy.stats import spearmanr
from task_data import Prepared, Table

import kbert

_LATIN = {"encoding": "latin-1", "delimiter": "@"}


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A row of the table.

    Args:
        task: kbert's name of the task.
        metric: kbert's name of the metric that is shown.
        prepare: Writes the training and test files.
        baseline: Returns the metric of each baseline.
        length: The longest input in tokens.
        part: The factor for the requested numbers of rows; long texts have fewer rows.
        epochs: The factor for the requested number of epochs.
        options: Arguments of `kbert.finetune`.
        chinese: Whether the texts are Chinese; otherwise they are English.
        measure: Returns the metric of a run; by default `evaluate` computes it on the test file.
        untuned: Returns the metric of an embedding model without fine-tuning; None if such a model cannot do the task.
    """

    task: str
    metric: str
    prepare: rows.Prepare
    baseline: Callable[[Prepared], dict[str, float]]
    length: int = 64
    part: float = 1.0
    epochs: float = 1.0
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    chinese: bool = False
    measure: Callable[[Path, Prepared], float] | None = None
    untuned: Callable[[Path, Prepared], float] | None = None


def _found(model: Path, prepared: Prepared) -> float:
    """Returns the nDCG@10 of a search in an index of all documents."""
    folder = prepared.train.parent / "index"
    shutil.rmtree(folder, ignore_errors=True)
    options = prepared.options
    kbert.build_index(model, input=options["documents"], output=folder, skip_bad=options["skip_bad"])
    names = sorted({query for query, _, _ in prepared.test_rows})
    found = kbert.Index(folder).search([prepared.extra["queries"][name] for name in names], top=10)
    ids = {name: [result["id"] for result in results] for name, results in zip(names, found, strict=True)}
    return baselines.ndcg(ids, prepared.test_rows)


def _alike(model: Path, prepared: Prepared) -> float:
    """Returns Spearman's correlation between the cosines of pairs and their scores."""
    predictor = kbert.load(model)
    first, second = (_vectors(predictor, [texts[side] for texts, _ in prepared.test_rows]) for side in (0, 1))
    cosines = (first * second).sum(-1)
    return float(spearmanr(cosines, [float(target) for _, target in prepared.test_rows]).statistic)


def _nearest(model: Path, prepared: Prepared) -> float:
    """Returns the recall@1 of the candidate whose vector is nearest to the vector of the previous turns."""
    predictor = kbert.load(model)
    queries = _vectors(predictor, [" ".join(turns) for turns, _, _ in prepared.test_rows])
    texts = _vectors(predictor, [text for _, candidates, _ in prepared.test_rows for text in candidates])
    scores = np.einsum("qh,qch->qc", queries, texts.reshape(len(queries), -1, queries.shape[1]))
    return float(np.mean(scores.argmax(-1) == [place for _, _, place in prepared.test_rows]))


def _vectors(predictor: Any, texts: list[str]) -> np.ndarray:
    """Returns the vectors of texts, scaled to the length 1, float32 [texts, H]."""
    vectors = np.asarray([answer["vector"] for answer in predictor.predict(texts)], np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


# The cheapest come first.
BENCHMARKS = {
    "sst2": Benchmark(
        "classification",
        "accuracy",
        Table(("sst2/train.tsv", "sst2/dev.tsv"), ((0,),), 1),
        baselines.classify,
        epochs=2,
        options={"text_column": "sentence", "label_column": "label"},
    ),
    "movielens": Benchmark(
        "multilabel",
        "f1_micro",
        Table(("movielens/movies.csv",), ((1,),), 2, ",", quoted=True, separator="|"),
        baselines.classify_several,
        length=32,
        epochs=3,
        options={"text_column": "title", "label_column": "genres"},
    ),
    "banking77": Benchmark(
        "classification",
        "accuracy",
        Table(("banking77/train.csv", "banking77/test.csv"), ((0,),), 1, ",", quoted=True),
        baselines.classify,
        epochs=5,
        options={"text_column": "text", "label_column": "category"},
    ),
    "sgd_intents": Benchmark(
        "classification",
        "accuracy",
        rows.intents,
        baselines.classify,
        epochs=3,
        options={"text_column": "text", "label_column": "intent"},
    ),
    "financial_phrasebank": Benchmark(
        "classification",
        "accuracy",
        Table(("financial_phrasebank/Sentences_50Agree.txt",), ((0,),), 1, "@", header=False, encoding="latin-1"),
        baselines.classify,
        epochs=2,
        options={"text_column": "1", "label_column": "2", **_LATIN},
    ),
    "wnut17": Benchmark("tagging", "f1", rows.conll, baselines.tag, length=96, epochs=3),
    "stsb": Benchmark(
        "regression",
        "spearman",
        Table(("stsb/train.tsv", "stsb/dev.tsv"), ((7,), (8,)), 9, numbers=True),
        baselines.regress,
        length=96,
        epochs=2,
        options={"text_column": "sentence1", "pair_column": "sentence2", "label_column": "score"},
        untuned=_alike,
    ),
    "mrpc": Benchmark(
        "classification",
        "accuracy",
        Table(("mrpc/train.tsv", "mrpc/dev.tsv"), ((3,), (4,)), 0),
        baselines.classify,
        length=96,
        options={"text_column": "#1 String", "pair_column": "#2 String", "label_column": "Quality"},
    ),
    "ag_news": Benchmark(
        "classification",
        "accuracy",
        Table(("ag_news/test.csv",), ((1, 2),), 0, ",", header=False, quoted=True),
        baselines.classify,
        options={"text_column": "2,3", "label_column": "1"},
    ),
    "zh_cluener": Benchmark("tagging", "f1", rows.character_spans, baselines.tag, epochs=2, chinese=True),
    "codah": Benchmark(
        "multiple-choice",
        "accuracy",
        rows.choices,
        baselines.choose,
        options={"prompt_column": "2", "choices_column": "3-6", "label_column": "7"},
    ),
    "zh_chnsenticorp": Benchmark(
        "classification",
        "accuracy",
        Table(("zh_chnsenticorp/train.tsv", "zh_chnsenticorp/dev.tsv"), ((1,),), 0),
        baselines.classify,
        length=128,
        options={"text_column": "text_a", "label_column": "label"},
        chinese=True,
    ),
    "sgd_dialogues": Benchmark(
        "ranking",
        "recall@1",
        rows.dialogues,
        baselines.respond,
        length=96,
        part=0.2,
        options={"responder": "S", "negatives": 4},
        untuned=_nearest,
    ),
    "scitldr": Benchmark(
        "summarization",
        "rougeL",
        rows.summaries,
        baselines.summarize,
        length=256,
        part=0.3,
        options={"text_column": "source", "label_column": "source_labels", "summary_column": "target", "sentences": 1},
    ),
    "cranfield": Benchmark(
        "embedding",
        "ndcg@10",
        rows.collection,
        baselines.search,
        length=128,
        part=0.5,
        measure=_found,
        untuned=_found,
    ),
    "squad": Benchmark(
        "question-answering",
        "f1",
        rows.squad("squad/train.json", "squad/dev.json"),
        baselines.answer,
        length=256,
        part=0.4,
    ),
    "zh_cmrc2018": Benchmark(
        "question-answering",
        "f1",
        rows.squad("zh_cmrc2018/cmrc2018_trial.json"),
        baselines.answer,
        length=384,
        part=0.2,
        chinese=True,
    ),
    "covid_qa": Benchmark(
        "question-answering",
        "f1",
        rows.squad("covid_qa/covidQA.json"),
        baselines.answer,
        length=384,
        part=0.04,
        epochs=0.5,
    ),
}

"""Every task on real data: a small pretrained BERT, the same one without pretraining, and honest baselines.

    python benchmarks/tasks.py --json FILE [--data FOLDER] [--english RUN] [--chinese RUN] [--only NAME …]
        [--rows 1500] [--test-rows 500] [--epochs 3] [--minutes 110] [--work FOLDER]

Each cell that is done is in FILE at once, and is not done again: a run that was stopped, or whose minutes were up, goes
on. Without --english or --chinese a mini is pretrained first, for --pretrain-steps. All contestants have the same rows;
a tenth of those for training choose the epoch (and thresholds), and the test rows only measure.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import task_baselines as baselines
import task_data as rows
from task_data import Prepared, Sizes, Table

import kbert

_PRESET = "mini"
_INITIALIZER_RANGE = 0.035
_LEARNING_RATE = 3e-4
_HELD_OUT = 0.1
_CONTESTANTS = ("pretrained", "fresh", "baselines")
_LATIN = {"encoding": "latin-1", "delimiter": "@"}


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A row of the table.

    Args:
        task: What kbert calls it.
        metric: The number that is shown, by kbert's name.
        prepare: Writes the files.
        baseline: The same metric of each baseline.
        length: Longest input in tokens.
        part: Of the rows asked for: long texts have fewer.
        epochs: Of the epochs asked for.
        options: Of `kbert.finetune`.
        chinese: The language.
        measure: The metric of a run; `evaluate` on the test file by default.
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


def _found(run: Path, prepared: Prepared) -> float:
    """nDCG@10 of a search through an index of all documents."""
    folder = run / "index"
    shutil.rmtree(folder, ignore_errors=True)
    kbert.build_index(run, input=prepared.options["documents"], output=folder)
    names = sorted({query for query, _, _ in prepared.test_rows})
    found = kbert.Index(folder).search([prepared.extra["queries"][name] for name in names], top=10)
    ids = {name: [result["id"] for result in results] for name, results in zip(names, found, strict=True)}
    return baselines.ndcg(ids, prepared.test_rows)


# Cheap ones first.
BENCHMARKS = {
    "sst2": Benchmark(
        "classification",
        "accuracy",
        Table(("sst2/train.tsv", "sst2/dev.tsv"), ((0,),), 1),
        baselines.classify,
        options={"text_column": "sentence", "label_column": "label"},
    ),
    "movielens": Benchmark(
        "multilabel",
        "f1_micro",
        Table(("movielens/movies.csv",), ((1,),), 2, ",", quoted=True, separator="|"),
        baselines.classify_several,
        length=32,
        options={"text_column": "title", "label_column": "genres"},
    ),
    "banking77": Benchmark(
        "classification",
        "accuracy",
        Table(("banking77/train.csv", "banking77/test.csv"), ((0,),), 1, ",", quoted=True),
        baselines.classify,
        epochs=2,
        options={"text_column": "text", "label_column": "category"},
    ),
    "financial_phrasebank": Benchmark(
        "classification",
        "accuracy",
        Table(("financial_phrasebank/Sentences_50Agree.txt",), ((0,),), 1, "@", header=False, encoding="latin-1"),
        baselines.classify,
        options={"text_column": "1", "label_column": "2", **_LATIN},
    ),
    "wnut17": Benchmark("tagging", "f1", rows.conll, baselines.tag, length=96),
    "stsb": Benchmark(
        "regression",
        "spearman",
        Table(("stsb/train.tsv", "stsb/dev.tsv"), ((7,), (8,)), 9, numbers=True),
        baselines.regress,
        length=96,
        options={"text_column": "sentence1", "pair_column": "sentence2", "label_column": "score"},
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
    "zh_cluener": Benchmark("tagging", "f1", rows.character_spans, baselines.tag, chinese=True),
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
        part=0.3,
        options={"responder": "S", "negatives": 4},
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
        "embedding", "ndcg@10", rows.collection, baselines.search, length=128, part=0.5, measure=_found
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


def main() -> None:
    """Fills the cells that are missing, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--english", type=Path, help="a pretrained model; without it one is made")
    parser.add_argument("--chinese", type=Path, help="a pretrained model; without it one is made")
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), metavar="NAME", default=list(BENCHMARKS))
    parser.add_argument("--contestants", nargs="+", choices=_CONTESTANTS, default=list(_CONTESTANTS))
    parser.add_argument("--rows", default=1500, type=int, help="for training, at most")
    parser.add_argument("--test-rows", default=500, type=int)
    parser.add_argument("--epochs", default=3.0, type=float)
    parser.add_argument("--minutes", default=110.0, type=float, help="after which no cell is begun")
    parser.add_argument("--pretrain-steps", default=1250, type=int)
    parser.add_argument("--work", type=Path, help="where runs are kept  [default: a temporary folder]")
    parser.add_argument("--json", required=True, type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).resolve()
        _Table(arguments, work).fill(time.monotonic() + 60 * arguments.minutes)


class _Table:
    def __init__(self, arguments: argparse.Namespace, work: Path) -> None:
        self.arguments = arguments
        self.work = work
        settings = {name: getattr(arguments, name) for name in ("rows", "test_rows", "epochs")}
        self.content: dict[str, Any] = {"settings": settings, "cells": {}}
        if arguments.json.exists():
            self.content = json.loads(arguments.json.read_text())
            if self.content["settings"] != settings:
                began = self.content["settings"]
                raise SystemExit(f"{arguments.json} was begun with {began}; go on with those, or name another file")

    def fill(self, deadline: float) -> None:
        """Does the cells, shows each, and the table in the end."""
        for name in self.arguments.only:
            for contestant in sorted(self.arguments.contestants):  # baselines first: they tell at once of bad rows
                done = self.content["cells"].get(name, {}).get(contestant)
                if done and "error" not in done:
                    continue
                if time.monotonic() > deadline:
                    print(f"no time for {name}, {contestant}", flush=True)
                    continue
                began = time.monotonic()
                try:
                    cell = self._cell(name, contestant)
                except kbert.KbertError as problem:
                    cell = {"error": f"{type(problem).__name__}: {problem}"}
                cell["seconds"] = round(time.monotonic() - began, 1)
                self._keep(name, contestant, cell)
                print(name, contestant, json.dumps(cell, ensure_ascii=False), flush=True)
        _print(self.content)

    def _keep(self, name: str, contestant: str, cell: dict[str, Any]) -> None:
        self.content["cells"].setdefault(name, {})[contestant] = cell
        new = self.arguments.json.with_suffix(".new")
        new.write_text(json.dumps(self.content, indent=2, ensure_ascii=False))
        new.replace(self.arguments.json)

    def _cell(self, name: str, contestant: str) -> dict[str, Any]:
        benchmark = BENCHMARKS[name]
        folder = self.work / name
        folder.mkdir(parents=True, exist_ok=True)
        sizes = Sizes(max(1, round(self.arguments.rows * benchmark.part)), self._test_rows(benchmark))
        prepared = benchmark.prepare(self.arguments.data.resolve(), folder, sizes)
        counts = {"train_rows": len(prepared.train_rows), "test_rows": len(prepared.test_rows)}
        if contestant == "baselines":
            return {"metric": benchmark.metric, "values": benchmark.baseline(prepared), **counts}
        # The fresh one has the shape and the vocabulary of the pretrained one.
        pretrained = self._pretrained("chinese" if benchmark.chinese else "english")
        start: dict[str, Any] = {"model": pretrained}
        if contestant == "fresh":
            start = {"model": _PRESET, "vocab": pretrained / "vocab.txt", "initializer_range": _INITIALIZER_RANGE}
        run = folder / contestant
        kbert.finetune(
            benchmark.task,
            train=prepared.train,
            validation_split=_HELD_OUT,
            output=run,
            epochs=self.arguments.epochs * benchmark.epochs,
            learning_rate=_LEARNING_RATE,
            sequence_length=benchmark.length,
            resume=True,
            show_progress=False,
            **start,
            **benchmark.options,
            **prepared.options,
        )
        if benchmark.measure:
            value = benchmark.measure(run, prepared)
        else:
            # What a run was fine-tuned with does not say how another file is read.
            ending = "_column"
            columns = {key.removesuffix(ending): value for key, value in benchmark.options.items() if ending in key}
            form = {key: value for key, value in benchmark.options.items() if key in ("delimiter", "encoding")}
            value = kbert.load(run).evaluate(prepared.test, columns, options=form)[benchmark.metric]
        return {"metric": benchmark.metric, "value": value, **counts}

    def _test_rows(self, benchmark: Benchmark) -> int:
        return max(1, round(self.arguments.test_rows * benchmark.part))

    def _pretrained(self, language: str) -> Path:
        """The model that was named, or one that is pretrained now, or was in a run before."""
        given: Path | None = getattr(self.arguments, language)
        if given is not None:
            return given.resolve()
        run = self.work / f"pretrained-{language}"
        if (run / "model.safetensors").exists():
            return run
        text = self.arguments.data / "corpus" / {"english": "en_wikipedia.txt", "chinese": "zh_wikipedia.txt"}[language]
        vocabulary = self.arguments.data / "vocab" / "bert-base-chinese.txt"
        if language == "english":
            vocabulary = self.work / "english-vocab.txt"
            kbert.train_vocabulary([text], size=8192).save(vocabulary)
        corpus = self.work / f"corpus-{language}"
        shutil.rmtree(corpus, ignore_errors=True)
        kbert.build_corpus([text], vocab=vocabulary, output=corpus, sequence_length=128, workers=os.cpu_count() or 1)
        kbert.pretrain(
            corpus=corpus,
            model=_PRESET,
            output=run,
            steps=self.arguments.pretrain_steps,
            learning_rate=1e-3,
            bias_correction=True,
            initializer_range=_INITIALIZER_RANGE,
            show_progress=False,
            resume=True,
        )
        return run


def _print(content: dict[str, Any]) -> None:
    settings = content["settings"]
    print(f"\nat most {settings['rows']} rows for training, {settings['epochs']:g} epochs")
    print("| data | task | rows | metric | pretrained | fresh | best baseline | first |")
    print("|---|---|---|---|---|---|---|---|")
    for name, benchmark in BENCHMARKS.items():
        cells = content["cells"].get(name)
        if not cells:
            continue
        baseline = cells.get("baselines", {}).get("values", {})
        shown = {contestant: cells.get(contestant, {}).get("value") for contestant in ("pretrained", "fresh")}
        texts = [_number(shown[contestant], cells.get(contestant, {})) for contestant in shown]
        best = max(baseline, key=lambda each: baseline[each], default=None)
        texts.append(f"{baseline[best]:.3f} ({best})" if best else "")
        known: dict[str, float] = {contestant: value for contestant, value in shown.items() if value is not None}
        known |= {best: baseline[best]} if best else {}
        first = max(known, key=lambda each: known[each], default="")
        first = f"the baseline: {first}" if first and first == best else first
        counts = next((cell for cell in cells.values() if "train_rows" in cell), None)
        count = f"{counts['train_rows']} / {counts['test_rows']}" if counts else ""
        print("|", " | ".join([name, benchmark.task, count, benchmark.metric, *texts, first]), "|")


def _number(value: float | None, cell: dict[str, Any]) -> str:
    if value is not None:
        return f"{value:.3f}"
    return "failed" if "error" in cell else ""


if __name__ == "__main__":
    main()

"""Every task on real data: a small pretrained BERT, the same one without pretraining, and honest baselines.

    python benchmarks/tasks.py --json FILE [--data FOLDER] [--english RUN] [--chinese RUN] [--only NAME …]
        [--rows 1500] [--test-rows 500] [--epochs 3] [--minutes 110] [--work FOLDER] [--precision bfloat16]

Each cell that is done is in FILE at once, and is not done again: a run that was stopped, or whose minutes were up, goes
on. Without --english or --chinese a mini is pretrained first, for --pretrain-steps; the default takes an hour of one
core that has products in bfloat16, and --precision says to use them. All contestants have the same rows; a tenth of
those for training choose the learning rate and the epoch (and thresholds), and the test rows only measure.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from task_data import Sizes
from task_table import BENCHMARKS, Benchmark

import kbert
from kbert.tasks.task import task_class

_PRESET = "mini"
_VOCABULARY_SIZE = 8192
_MASKED = 0.3  # twice the paper's: more to learn from each text, where time is short
_SEQUENCE_LENGTH = 128
_PRETRAINING = {
    "batch_size": 32,
    "optimizer": "muon",
    "learning_rate": 2e-3,
    "bias_correction": True,
    "dropout": 0.0,  # there is no time to learn texts by heart
    "initializer_range": 0.05,
    "initialization": "positional",
}
_FRESH_INITIALIZER_RANGE = 0.035  # what is drawn as wide as for pretraining learns less from so few rows
_DROPOUT = 0.1
_LEARNING_RATES = (3e-4, 1e-3)  # the first alone for long texts, which take long
_BATCH_SIZE = 16  # few rows are few steps
_HELD_OUT = 0.1
_CONTESTANTS = ("pretrained", "fresh", "baselines")


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
    parser.add_argument("--pretrain-steps", default=7200, type=int)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"], help="of pretraining")
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
        settings["batch_size"] = _BATCH_SIZE
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
        language = "chinese" if benchmark.chinese else "english"
        start: dict[str, Any]
        if contestant == "fresh":
            start = {
                "model": _PRESET,
                "vocab": self._vocabulary(language),
                "initializer_range": _FRESH_INITIALIZER_RANGE,
            }
        else:
            start = {"model": self._pretrained(language)}
        sign = 1 if task_class(benchmark.task).larger_is_better else -1
        scores: dict[Path, float] = {}
        for rate in _LEARNING_RATES if benchmark.part == 1 else _LEARNING_RATES[:1]:
            run = folder / f"{contestant}-{rate:g}"
            metrics = kbert.finetune(
                benchmark.task,
                train=prepared.train,
                validation_split=_HELD_OUT,
                output=run,
                epochs=self.arguments.epochs * benchmark.epochs,
                learning_rate=rate,
                batch_size=_BATCH_SIZE,
                sequence_length=benchmark.length,
                dropout=_DROPOUT,
                resume=True,
                show_progress=False,
                **start,
                **benchmark.options,
                **prepared.options,
            )
            main_metric = json.loads((run / "kbert.json").read_text())["main_metric"]
            scores[run] = sign * metrics[main_metric]
        run = max(scores, key=lambda each: scores[each])
        if benchmark.measure:
            value = benchmark.measure(run, prepared)
        else:
            value = kbert.load(run).evaluate(prepared.test)[benchmark.metric]
        return {"metric": benchmark.metric, "value": value, "run": run.name, **counts}

    def _test_rows(self, benchmark: Benchmark) -> int:
        return max(1, round(self.arguments.test_rows * benchmark.part))

    def _vocabulary(self, language: str) -> Path:
        given: Path | None = getattr(self.arguments, language)
        if given is not None:
            return given.resolve() / "vocab.txt"
        path = self.work / f"{language}-vocab.txt"
        if not path.exists():
            kbert.train_vocabulary([self._text(language)], size=_VOCABULARY_SIZE).save(path)
        return path

    def _text(self, language: str) -> Path:
        name = {"english": "en_wikipedia.txt", "chinese": "zh_wikipedia.txt"}[language]
        return self.arguments.data.resolve() / "corpus" / name

    def _pretrained(self, language: str) -> Path:
        """The model that was named, or one that is pretrained now, or was in a run before."""
        given: Path | None = getattr(self.arguments, language)
        if given is not None:
            return given.resolve()
        run = self.work / f"pretrained-{language}"
        if (run / "model.safetensors").exists():
            return run
        corpus = self.work / f"corpus-{language}"
        if not (corpus / "manifest.json").exists():
            text, vocabulary = self._text(language), self._vocabulary(language)
            kbert.build_corpus(
                [text],
                vocab=vocabulary,
                output=corpus,
                sequence_length=_SEQUENCE_LENGTH,
                mask_probability=_MASKED,
                max_predictions=math.ceil(_MASKED * _SEQUENCE_LENGTH),
                workers=os.cpu_count() or 1,
                resume=True,
            )
        kbert.pretrain(
            corpus=corpus,
            model=_PRESET,
            output=run,
            steps=self.arguments.pretrain_steps,
            warmup_steps=min(300, self.arguments.pretrain_steps // 10),
            precision=self.arguments.precision,
            show_progress=False,
            resume=True,
            **_PRETRAINING,
        )
        return run


def _print(content: dict[str, Any]) -> None:
    settings = content["settings"]
    print("\n| data | task | rows | epochs | metric | pretrained | fresh | best baseline | first |")
    print("|---|---|---|---|---|---|---|---|---|")
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
        first = max(known, key=lambda each: known[each]) if len(known) == len(_CONTESTANTS) else ""
        first = f"the baseline: {first}" if first and first == best else first
        counts = next((cell for cell in cells.values() if "train_rows" in cell), None)
        count = f"{counts['train_rows']} / {counts['test_rows']}" if counts else ""
        epochs = f"{settings['epochs'] * benchmark.epochs:g}"
        print("|", " | ".join([name, benchmark.task, count, epochs, benchmark.metric, *texts, first]), "|")


def _number(value: float | None, cell: dict[str, Any]) -> str:
    if value is not None:
        return f"{value:.3f}"
    return "failed" if "error" in cell else ""


if __name__ == "__main__":
    main()

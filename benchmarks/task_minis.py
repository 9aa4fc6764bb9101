"""The cells of the table about pretraining: of a mini that was pretrained for an hour, and of the same one without.

Each learning rate of a few is tried, and the rows held out choose among the runs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from pathlib import Path
from typing import Any

from task_cells import HELD_OUT
from task_data import Prepared
from task_table import Benchmark

import kbert
from kbert.tasks.factories import task_class

_PRESET = "mini"
_VOCABULARY_SIZE = 8192
_MASKED = 0.3  # twice the paper's: more to learn from each text, where time is short
_SEQUENCE_LENGTH = 128
_PRETRAINING: dict[str, Any] = {
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


def mini_cell(
    contestant: str,
    benchmark: Benchmark,
    prepared: Prepared,
    *,
    folder: Path,
    arguments: argparse.Namespace,
    work: Path,
) -> dict[str, Any]:
    """Fine-tunes at each learning rate, and measures the run that did best on the rows held out.

    Args:
        contestant: "pretrained" or "fresh".
        benchmark: The row of the table.
        prepared: The rows to learn from and to be measured on.
        folder: Where its runs are kept.
        arguments: Those of the program: english, chinese, data, epochs, batch_size, pretrain_steps, precision.
        work: Where pretrained minis are kept.

    Returns:
        "value" and the name of the "run".
    """
    minis = _Minis(arguments, work)
    language = "chinese" if benchmark.chinese else "english"
    start: dict[str, Any] = {"model": minis.pretrained(language)} if contestant == "pretrained" else {
        # It has the shape and the vocabulary of the pretrained one.
        "model": _PRESET,
        "vocab": minis.vocabulary(language),
        "initializer_range": _FRESH_INITIALIZER_RANGE,
    }  # fmt: skip
    sign = 1 if task_class(benchmark.task).larger_is_better else -1
    scores: dict[Path, float] = {}
    for rate in _LEARNING_RATES if benchmark.part == 1 else _LEARNING_RATES[:1]:
        run = folder / f"{contestant}-{rate:g}"
        metrics = kbert.finetune(
            benchmark.task,
            train=prepared.train,
            validation_split=HELD_OUT,
            output=run,
            epochs=arguments.epochs * benchmark.epochs,
            learning_rate=rate,
            batch_size=arguments.batch_size,
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
    return {"value": value, "run": run.name}


class _Minis:
    """Pretrained minis and their vocabularies: those that were named, else made once.

    Args:
        arguments: Those of the program.
        work: Where they are kept.
    """

    def __init__(self, arguments: argparse.Namespace, work: Path) -> None:
        self.arguments = arguments
        self.work = work

    def vocabulary(self, language: str) -> Path:
        """A vocab.txt."""
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

    def pretrained(self, language: str) -> Path:
        """The model that was named, or one that is pretrained now, or was in a run before."""
        given: Path | None = getattr(self.arguments, language)
        if given is not None:
            return given.resolve()
        run = self.work / f"pretrained-{language}"
        if (run / "model.safetensors").exists():
            return run
        corpus = self.work / f"corpus-{language}"
        if not (corpus / "manifest.json").exists():
            text, vocabulary = self._text(language), self.vocabulary(language)
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

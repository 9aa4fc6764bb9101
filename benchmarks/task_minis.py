"""The cells of the table about pretraining: a mini that was pretrained for an hour, and a mini with random weights.

Each is fine-tuned with several learning rates, and the held-out rows choose among the runs.
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
from kbert.tasks.metrics.names import larger_is_better

_PRESET = "mini"
_VOCABULARY_SIZE = 8192
_MASKED = 0.3  # twice the paper's value: more predictions per text, because time is short
_SEQUENCE_LENGTH = 128
_PRETRAINING: dict[str, Any] = {
    "batch_size": 32,
    "optimizer": "muon",
    "learning_rate": 2e-3,
    "bias_correction": True,
    "dropout": 0.0,  # there is no time to overfit
    "initializer_range": 0.05,
    "initialization": "positional",
}
_FRESH_INITIALIZER_RANGE = 0.035  # weights with the range for pretraining learn less from few rows
_DROPOUT = 0.1
_LEARNING_RATES = (3e-4, 1e-3)  # long texts, which take more time, use only the first


def mini_cell(
    contestant: str,
    benchmark: Benchmark,
    prepared: Prepared,
    *,
    folder: Path,
    arguments: argparse.Namespace,
    work: Path,
) -> dict[str, Any]:
    """Fine-tunes with each learning rate, and measures the run that is best on the held-out rows.

    Args:
        contestant: "pretrained" or "fresh".
        benchmark: The row of the table.
        prepared: The training and test rows.
        folder: The folder in which the runs are kept.
        arguments: The arguments of the program: english, chinese, data, epochs, batch_size, pretrain_steps, precision.
        work: The folder in which pretrained minis are kept.

    Returns:
        A dictionary with "value", the metric on the test rows, and "run", the name of the chosen run.
    """
    minis = _Minis(arguments, work)
    language = "chinese" if benchmark.chinese else "english"
    start: dict[str, Any] = {"model": minis.pretrained(language)} if contestant == "pretrained" else {
        # The fresh model has the shape and the vocabulary of the pretrained model.
        "model": _PRESET,
        "vocab": minis.vocabulary(language),
        "initializer_range": _FRESH_INITIALIZER_RANGE,
    }  # fmt: skip
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
        scores[run] = metrics[main_metric] if larger_is_better(main_metric) else -metrics[main_metric]
    run = max(scores, key=lambda each: scores[each])
    if benchmark.measure:
        value = benchmark.measure(run, prepared)
    else:
        value = kbert.load(run).evaluate(prepared.test)[benchmark.metric]
    return {"value": value, "run": run.name}


class _Minis:
    """The pretrained minis and their vocabularies: those that the user named, or those that are made here once.

    Args:
        arguments: The arguments of the program.
        work: The folder in which minis are kept.
    """

    def __init__(self, arguments: argparse.Namespace, work: Path) -> None:
        self.arguments = arguments
        self.work = work

    def vocabulary(self, language: str) -> Path:
        """Returns the path of the vocab.txt for a language."""
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
        """Returns the folder of the model for a language; unless the user named one, it is pretrained once."""
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

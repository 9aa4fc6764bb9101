"""The cells of the table of real weights: kbert, the weights without fine-tuning, and transformers.

benchmarks/tasks.py runs each cell in its own process and reads the results.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from task_data import Prepared
from task_table import Benchmark

HELD_OUT = 0.1
"""The share of training rows that is held out for choosing the epoch."""
CONTESTANTS = ("baselines", "untuned", "kbert", "transformers", "transformers-grouped")
"""The contestants in the order in which they run: transformers follows the recipe that kbert's run has recorded."""
SEEDED = ("kbert", "transformers", "transformers-grouped")
_PEERS = ("transformers", "transformers-grouped")
PEER_BENCHMARKS = ("sst2", "banking77", "wnut17", "squad")


def takes_part(name: str, benchmark: Benchmark, contestant: str) -> bool:
    """Whether a contestant has a cell in the row of a data set."""
    if contestant in _PEERS:
        return name in PEER_BENCHMARKS
    return contestant != "untuned" or benchmark.untuned is not None


def baseline_cell(benchmark: Benchmark, prepared: Prepared) -> dict[str, Any]:
    """Returns the metric of each baseline."""
    return {"values": benchmark.baseline(prepared)}


def untuned_cell(benchmark: Benchmark, prepared: Prepared, model: Path) -> dict[str, Any]:
    """Returns the metric of an embedding model without fine-tuning."""
    assert benchmark.untuned is not None
    return {"value": benchmark.untuned(model, prepared)}


def seeded_cells(
    contestant: str,
    benchmark: Benchmark,
    prepared: Prepared,
    *,
    model: Path,
    folder: Path,
    settings: Mapping[str, Any],
    seeds: list[int],
    recipes: Mapping[int, Mapping[str, Any]],
    goes_on: Callable[[float], bool],
) -> Iterator[dict[str, Any]]:
    """Trains with one seed after the other, and yields the result of each seed.

    Args:
        contestant: One of SEEDED.
        benchmark: The row of the table.
        prepared: The training and test rows.
        model: The folder of the pretrained weights.
        folder: The folder in which kbert's runs are kept.
        settings: Arguments of `kbert.finetune` that differ from its defaults.
        seeds: The seeds of the head, the order, dropout, and the choice of held-out rows.
        recipes: The recipes that kbert's runs recorded, by seed; only transformers uses them.
        goes_on: Returns whether to run one more seed, given the seconds of the last one.

    Yields:
        A dictionary with "seed", "value" (the metric on the test rows), "held_out" (the metric on the held-out rows),
        "seconds" and "cpu_seconds" of fine-tuning with its evaluations, and for kbert also "recipe".
    """
    for seed in seeds:
        if contestant == "kbert":
            result = _finetune(benchmark, prepared, model, folder / f"kbert-{seed}", settings, seed)
        else:
            from task_transformers import finetune

            options = {**benchmark.options, **prepared.options}
            result = finetune(
                benchmark.task,
                prepared,
                options,
                model=model,
                metric=benchmark.metric,
                held_out=HELD_OUT,
                recipe=recipes[seed],
                seed=seed,
                grouped=contestant.endswith("-grouped"),
            )
        yield {"seed": seed, **result}
        if not goes_on(result["seconds"]):
            return


def _finetune(
    benchmark: Benchmark, prepared: Prepared, model: Path, run: Path, settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Fine-tunes with kbert's defaults except for `settings`, and returns the result."""
    import keras

    import kbert
    from kbert.training.finetune import finetune  # TensorFlow is imported before the clock starts
    from kbert.training.run_folder.runs import flat_record

    keras.backend.clear_session()
    # An interrupted run starts from the beginning, because its seconds would not include the work before.
    shutil.rmtree(run, ignore_errors=True)
    began, cpu_began = time.perf_counter(), time.process_time()
    metrics = finetune(
        benchmark.task,
        model=model,
        train=prepared.train,
        validation_split=HELD_OUT,
        output=run,
        seed=seed,
        show_progress=False,
        **settings,
        **benchmark.options,
        **prepared.options,
    )
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    shutil.rmtree(run / "checkpoints", ignore_errors=True)  # those of all runs would take gigabytes
    if benchmark.measure:
        value = benchmark.measure(run, prepared)
    else:
        value = kbert.load(run).evaluate(prepared.test)[benchmark.metric]
    recipe = flat_record(json.loads((run / "run.json").read_text()))
    del recipe["tokenizer"]
    main_metric = json.loads((run / "kbert.json").read_text())["main_metric"]
    return {
        "value": value,
        "held_out": metrics[main_metric],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "recipe": recipe | {"main_metric": main_metric},
    }

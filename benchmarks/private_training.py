"""The time of private training beside that of plain training: examples per second of processor time, in one process.

    python benchmarks/private_training.py --preset small --rounds 5 --json private_training.json

A round trains on 256 examples of SST-2 with their real lengths, as `kbert finetune classification` does. Plain steps
have 32 examples each. The private step draws all 256 examples, and computes them in batches of 32. Both end with the
update of the weights. The contestants take turns; medians of rounds are compared, without the first one. The tables are
frozen in private training, and here in plain training, too. Weights are random, since they do not change the time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kbert

ADAPTERS = ("full", "lora", "bitfit")
EXAMPLES, BATCH_SIZE = 256, 32


def main() -> None:
    """Runs the benchmark that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small", help="a preset such as small or base")
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA"), help="the folder with sst2/train.tsv")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="a file for the figures")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("expected --data FOLDER, or the environment variable KBERT_DATA")
    kbert.prepare_runtime(quiet=True)
    found = {adapter: measure(adapter, arguments) for adapter in ADAPTERS}
    print("| trained weights | plain, examples/s | private, examples/s | time, private / plain |")
    print("|---|---|---|---|")
    for adapter, rates in found.items():
        ratio = rates["plain"] / rates["private"]
        print(f"| {adapter} | {rates['plain']:.0f} | {rates['private']:.0f} | {ratio:.2f} |")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=2) + "\n")


def measure(adapter: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Returns the examples per second of processor time, plain and private."""
    rows, start = training_rows(arguments)
    rounds = {
        name: prepare(adapter, rows, start, private=name == "private", rounds=arguments.rounds + 1)
        for name in ("plain", "private")
    }
    times: dict[str, list[float]] = {name: [] for name in rounds}
    for _ in range(arguments.rounds + 1):
        for name, run in rounds.items():
            began = time.process_time()
            run()
            times[name].append(time.process_time() - began)
    return {name: EXAMPLES / statistics.median(each[1:]) for name, each in times.items()}


def training_rows(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """Returns the first examples of SST-2 as training rows, and the starting point."""
    from kbert.tasks.classification import ClassificationTask
    from kbert.text.graph.encoder import GraphEncoder
    from kbert.training.starting_point import StartingPoint

    path = Path(arguments.data) / "sst2" / "train.tsv"
    vocabulary = Path(arguments.data) / "vocab" / "bert-base-uncased.txt"
    tokenizer = kbert.Tokenizer(vocabulary)
    examples = ClassificationTask.read_examples(path, {"text": "sentence"})[:EXAMPLES]
    task = ClassificationTask(["0", "1"])
    rows = task.training_rows(examples, GraphEncoder(tokenizer.to_graph(), 128))
    config = kbert.preset_config(arguments.preset).replace(vocab_size=len(tokenizer.vocabulary))
    return rows, StartingPoint(arguments.preset, config, tokenizer, bundle=None)


def prepare(adapter: str, rows: Any, start: Any, *, private: bool, rounds: int) -> Callable[[], Mapping[str, Any]]:
    """Returns a function that trains for one round."""
    import tensorflow as tf

    from kbert.model_folder.adapters.spec import AdapterSpec
    from kbert.models.encoder import BertEncoder
    from kbert.tasks.classification import ClassificationTask
    from kbert.training.adapter import TrainedAdapter
    from kbert.training.data.batches import LengthBucketedBatches
    from kbert.training.loop.loss_scale import LossScale
    from kbert.training.loop.step import TrainingStep
    from kbert.training.optimizers.frozen_layers import freeze_tables
    from kbert.training.optimizers.registry import make_optimizer
    from kbert.training.optimizers.settings import OptimizerSettings
    from kbert.training.private.batches import PoissonBatches
    from kbert.training.private.step import PrivateStep

    task = ClassificationTask(["0", "1"])
    model = task.build(BertEncoder(start.config, skip_padding=True))
    if adapter != "full":
        TrainedAdapter(AdapterSpec.parse(adapter), model, task.bindings(model), start)
    freeze_tables(model.encoder)
    settings = {
        "objective": task,
        "optimizer": make_optimizer(model.trainable_variables, OptimizerSettings()),
        "loss_scale": LossScale(False),
        "accumulation": 1,
        "strategy": tf.distribute.OneDeviceStrategy("/cpu:0"),
        "jit": False,
    }
    steps = 1 if private else EXAMPLES // BATCH_SIZE
    source: Any
    if private:
        source = PoissonBatches(
            rows, expected=EXAMPLES, batch_size=BATCH_SIZE, steps=rounds * steps, sequence_length=128
        )
        step: Any = PrivateStep(model, clip=0.1, noise_multiplier=1.0, expected=EXAMPLES, **settings)
    else:
        source = LengthBucketedBatches(rows, batch_size=BATCH_SIZE, steps=rounds * steps, sequence_length=128)
        step = TrainingStep(model, **settings)
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(source.batches, output_signature=source.element_spec)
    iterator = iter(dataset.with_options(options))
    graph = step.function(iterator, source.element_spec)
    rates = tf.fill([steps], 1e-5)
    return lambda: graph(iterator, tf.constant(0, tf.int64), rates)["gradient_norm"].numpy()


if __name__ == "__main__":
    main()

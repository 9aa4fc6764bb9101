"""The cost of a pretraining step on many devices, predicted from a few constants: the tables of docs/scaling.md.

    python benchmarks/scaling.py predict --peak 3.12e14 --efficiency 0.4 --bandwidth 2e10
    python benchmarks/scaling.py measure      measures this machine's constants, with two processes over loopback

A step on N devices, each with R rows of S tokens, takes

    max(compute, input) + (1 - overlap) * all-reduce

    compute      training_flops(R, S) / (peak * efficiency); monitoring.flops counts matrix products only
    all-reduce   2 (N-1)/N * 4 * parameters / bandwidth + 2 (N-1) * latency, for a ring of float32 gradients
    input        N * R * S tokens / input rate; each worker prepares whole batches
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import turns

from kbert.config import BertConfig, preset_config
from kbert.model_folder.architectures import parameter_count
from kbert.training.monitoring.flops import training_flops

VOCABULARY = 30_522
FLOAT = 4
PHASES = ((128, 0.9), (512, 0.1))
"""The phases of the original pretraining: sequence length, and share of the steps (arXiv 1810.04805, appendix A.2)."""
STEPS, BATCH = 1_000_000, 256
"""The steps and the batch size of the original pretraining, about 40 epochs of 3.3 billion words (same source)."""
DEVICES = (1, 8, 64, 1024)


@dataclasses.dataclass(frozen=True)
class Constants:
    """The performance of a device and its network connection.

    Args:
        peak: The operations per second on matrix products.
        efficiency: The share of the peak that a step reaches.
        bandwidth: The bytes per second that each device sends during an all-reduce.
        latency: The seconds of latency of each of the 2 (N-1) parts of an all-reduce.
        input_rate: The tokens per second, including padding, that one worker prepares.
        overlap: The share of the all-reduce that runs during the backward pass. In kbert it is 0, because the
            all-reduce starts when all gradients are computed.
    """

    peak: float
    efficiency: float
    bandwidth: float
    latency: float
    input_rate: float
    overlap: float = 0.0


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of one step: the seconds of each part and of the step, and bytes per device."""

    compute: float
    all_reduce: float
    input: float
    seconds: float
    all_reduce_bytes: float
    input_bytes: int
    memory: float


def predictions(length: int) -> int:
    """Returns the number of predictions per row: 15 % of its tokens, the default of `kbert corpus build`."""
    return round(0.15 * length)


def step_cost(config: BertConfig, rows: int, length: int, devices: int, constants: Constants) -> Cost:
    """Returns the cost of a step in which each of `devices` devices works on `rows` rows of `length` tokens."""
    predicted = predictions(length)
    count = parameter_count(config, "BertForPreTraining")
    shapes = {"input_word_ids": (rows, length), "masked_lm_positions": (rows, predicted)}
    compute = training_flops(config, shapes) / (constants.peak * constants.efficiency)
    sent = 2 * (devices - 1) / devices * FLOAT * count
    all_reduce = sent / constants.bandwidth + 2 * (devices - 1) * constants.latency if devices > 1 else 0.0
    reading = devices * rows * length / constants.input_rate
    row_bytes = FLOAT * (3 * length + 3 * predicted + 1)
    # Memory holds weights, gradients and two optimizer slots, the activations that the backward pass needs, and the
    # logits, their softmax and their gradient.
    width, inner, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    kept = config.num_hidden_layers * rows * length * (14 * width + 3 * inner + 3 * heads * length)
    memory = FLOAT * (4 * count + kept + 3 * rows * predicted * config.vocab_size)
    seconds = max(compute, reading) + (1 - constants.overlap) * all_reduce
    return Cost(compute, all_reduce, reading, seconds, sent, devices * rows * row_bytes, memory)


def predict(options: argparse.Namespace) -> None:
    """Prints the predicted time of the original pretraining for each number of devices."""
    names = [field.name for field in dataclasses.fields(Constants)]
    constants = Constants(**{name: getattr(options, name) for name in names})
    print(", ".join(f"{name} {value:g}" for name, value in dataclasses.asdict(constants).items()))
    header = ("model", "devices", "length", "rows", "compute", "all-reduce", "input", "step", "memory", "tokens/s")
    print(("{:>6} {:>7} {:>6} {:>5}" + " {:>10}" * 6).format(*header))
    for preset, devices in itertools.product(options.presets, options.devices):
        config = preset_config(preset, VOCABULARY)
        total = 0.0
        for length, part in PHASES:
            # The batch is at least the original's, and each device has enough rows to be busy. The total number of
            # tokens stays the same.
            most = options.rows * PHASES[0][0] // length
            rows = max(options.batch // devices, most)
            micro = -(-rows // most)  # the number of micro-batches, if the rows do not fit at once
            one = step_cost(config, rows // micro, length, devices, constants)
            whole = step_cost(config, rows, length, devices, constants)
            total += part * STEPS * BATCH / (rows * devices) * whole.seconds
            times = (
                f"{value * 1e3:,.1f} ms" for value in (whole.compute, whole.all_reduce, whole.input, whole.seconds)
            )
            speed = rows * devices * length / whole.seconds
            cells = (*times, f"{one.memory / 2**30:,.1f} GiB", f"{speed:,.0f}")
            print(f"{preset:>6} {devices:7,} {length:6} {rows:5}" + "".join(f" {cell:>10}" for cell in cells))
        print(f"{preset:>6} {devices:7,} all of it: {total / 3600:,.1f} hours ({total / 86400:,.1f} days)")


# === Measurements ===


def worker(options: argparse.Namespace) -> None:
    """Runs one of two processes that sum gradients; prints the seconds of an all-reduce of many floats and of one."""
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def seconds(floats: int) -> float:
        values = tf.ones([floats])

        def of_replica() -> tf.Tensor:
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(values))

        summed = tf.function(lambda: strategy.run(of_replica))
        strategy.experimental_local_results(summed())[0].numpy()
        rounds = []
        for _ in range(options.rounds):
            began = time.perf_counter()
            strategy.experimental_local_results(summed())[0].numpy()
            rounds.append(time.perf_counter() - began)
        return statistics.median(rounds)

    print(json.dumps({"many": seconds(options.floats), "one": seconds(1)}), flush=True)


def measure(options: argparse.Namespace) -> None:
    """Prints this machine's constants: all-reduce of two processes, input rate, and matrix peak."""
    addresses = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            addresses.append(f"127.0.0.1:{probe.getsockname()[1]}")
    processes = []
    for index in range(2):
        place = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        arguments = ["worker", "--floats", str(options.floats), "--rounds", str(options.rounds)]
        processes.append(turns.start([sys.executable, __file__, *arguments], {"TF_CONFIG": json.dumps(place)}))
    outcomes = [turns.answer(process) for process in processes]
    for process in processes:
        process.communicate()
    if outcomes[0] is None:
        sys.exit("the two processes ended without an answer")
    # Each of the two processes sends and receives half of the bytes twice.
    moved = 2 * (2 - 1) / 2 * FLOAT * options.floats
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"--bandwidth {moved / (outcomes[0]['many'] - outcomes[0]['one']):.3g}")
    print(f"--latency {outcomes[0]['one'] / 2:.3g}")
    print(f"--input-rate {input_rate(options):.3g}")
    print(f"--peak {cpu_peak():.3g}")


def input_rate(options: argparse.Namespace) -> float:
    """Returns the tokens per second that one process reads and masks, in rows of 128 tokens, after the first batch."""
    from kbert.corpus.building.build import build_corpus
    from kbert.corpus.reading.pipeline import PretrainingBatches

    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text.txt")
        with open(options.data / "corpus" / "en_wikipedia.txt", "rb") as handle:
            text.write_bytes(handle.read(2_000_000).decode(errors="ignore").encode())
        vocab = options.data / "vocab" / "bert-base-uncased.txt"
        build_corpus([text], vocab=vocab, output=Path(folder, "corpus"), workers=1)
        source = PretrainingBatches(Path(folder, "corpus"), batch_size=256)
        batches = source.batches()
        next(batches)
        count = max(4, 4 * source.rows // 256)  # several epochs, so that reading is included
        began = time.perf_counter()
        for _ in itertools.islice(batches, count):
            pass
        return count * 256 * 128 / (time.perf_counter() - began)


def cpu_peak() -> float:
    """Returns the matrix peak of the CPU, measured as for a run's environment.json."""
    from kbert.training.devices.strategy import make_strategy
    from kbert.training.monitoring.peak import matrix_peak

    peak = matrix_peak("float32", make_strategy("one"))
    assert peak is not None
    return peak


def main() -> None:
    """Runs the subcommand that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    predicting = commands.add_parser("predict", help="print the predicted costs")
    for name, default in (("peak", 3.12e14), ("efficiency", 0.4), ("bandwidth", 2e10), ("latency", 1e-5)):
        predicting.add_argument(f"--{name}", type=float, default=default)
    predicting.add_argument("--input-rate", type=float, default=1.52e7)
    predicting.add_argument(
        "--batch", type=int, default=BATCH, help="the smallest number of rows on all devices together"
    )
    predicting.add_argument("--overlap", type=float, default=0.0)
    predicting.add_argument(
        "--rows", type=int, default=32, help="the number of rows of 128 tokens that fit on a device at once"
    )
    predicting.add_argument("--presets", nargs="+", default=["base", "large"])
    predicting.add_argument("--devices", nargs="+", type=int, default=list(DEVICES))
    predicting.set_defaults(run=predict)
    for name, run in (("measure", measure), ("worker", worker)):
        measuring: Any = commands.add_parser(name)
        measuring.add_argument("--floats", type=int, default=8_000_000)
        measuring.add_argument("--rounds", type=int, default=7)
        measuring.add_argument("--data", type=Path, default=os.environ.get("KBERT_DATA", "../shared/data"))
        measuring.set_defaults(run=run)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()

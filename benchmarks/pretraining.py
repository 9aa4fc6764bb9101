"""Training steps of kbert, transformers and keras-hub on the same batches: tokens per second, without padding.

    python benchmarks/pretraining.py --presets tiny mini small --lengths 128 512 --rounds 5 --json pretraining.json

A step runs the forward and the backward pass, clips the gradients and applies AdamW, in each library as its users run
it:

    kbert           the step of `kbert pretrain`, with huge memory pages and oneDNN, as the program sets them
                    (--same-settings sets them for the others too); without XLA it skips padding if rows are single
                    examples
    transformers    BertForPreTraining with PyTorch's fused AdamW, eager and with torch.compile; bfloat16 by autocast.
                    It projects all positions to the vocabulary. Packed rows get an attention mask of four dimensions
                    and position ids, and next sentence prediction only for the first pair of a row
    keras-hub       BertMaskedLM and train_on_batch, with XLA (Keras's default) and without; bfloat16 by
                    mixed_bfloat16. It projects only the predicted positions. It has no next sentence prediction and no
                    attention mask between packed examples, so it computes tensors of the same shapes without them

Rows of 128 tokens are single examples; in rows of 512 tokens, examples of 128 tokens are packed. Contestants run in
their own processes and take turns round by round; medians of wall-clock time are compared. The column `cpu` shows
tokens per second of processor time, which is the better measure on a machine with other load. The column `of peak`
shows the operations of kbert.training.monitoring.flops (including padding, unless it is skipped, and without additional
work of the other libraries) as a share of the highest matrix peak that a contestant measured.

With --json each finished cell (a preset and a length) is written immediately, and a later run with the same file
measures only the missing cells. The preset base needs about 4 GB per contestant: select with --only and --precisions.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import turns

CONTESTANTS = {
    "kbert": "kbert",
    "kbert-xla": "kbert, XLA",
    "transformers": "transformers",
    "transformers-compile": "transformers, torch.compile",
    "keras-hub": "keras-hub",
    "keras-hub-xla": "keras-hub, XLA",
}
PACKAGES = {"transformers": "transformers", "transformers-compile": "transformers", "keras-hub": "keras_hub"}
PRECISIONS = ("float32", "bfloat16")
EXAMPLE_LENGTH = 128
TOKENS = 2048
"""The number of tokens in a batch: 16 rows of 128 tokens, or 4 rows of 512."""
BATCHES = 4
"""The number of different batches, which are used in turn."""
LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 1e-4, 0.01, 1.0

Batches = dict[str, np.ndarray]
"""The features of several batches; the first dimension is the number of the batch."""


# === Contestants: each returns a function that trains for one step ===


def train_kbert(preset: str, vocab_size: int, batches: Batches, precision: str, variant: bool) -> Callable[[], Any]:
    """Returns a function that runs the step of `kbert pretrain`."""
    import tensorflow as tf

    from kbert.config import preset_config
    from kbert.models.encoder import BertEncoder
    from kbert.models.pretraining import PretrainingModel
    from kbert.training.loop.loss_scale import LossScale
    from kbert.training.loop.objectives import PretrainingObjective
    from kbert.training.loop.step import TrainingStep
    from kbert.training.optimizers.registry import make_optimizer
    from kbert.training.optimizers.settings import OptimizerSettings

    config = preset_config(preset, vocab_size)
    packed = "input_example_ids" in batches
    encoder = BertEncoder(config, packed=packed, precision=precision, skip_padding=not (packed or variant))
    model = PretrainingModel(encoder)
    settings = OptimizerSettings("adamw", weight_decay=WEIGHT_DECAY, clip_norm=CLIP_NORM)
    step = TrainingStep(
        model,
        objective=PretrainingObjective(),
        optimizer=make_optimizer(model.trainable_variables, settings),
        loss_scale=LossScale(False),
        accumulation=1,
        strategy=tf.distribute.OneDeviceStrategy("/cpu:0"),
        jit=variant,
    )
    dataset = tf.data.Dataset.from_tensor_slices(batches).repeat()
    iterator = iter(dataset)
    function = step.function(iterator, dataset.element_spec)
    numbers = itertools.count()
    rate = tf.constant([LEARNING_RATE])
    return lambda: function(iterator, tf.constant(next(numbers), tf.int64), rate)["loss"].numpy()


def train_transformers(
    preset: str, vocab_size: int, batches: Batches, precision: str, variant: bool
) -> Callable[[], Any]:
    """Returns a function that trains transformers' model with PyTorch's optimizer."""
    import torch
    from backends import torch_batch
    from transformers import BertConfig, BertForPreTraining

    from kbert.config import preset_config

    model = BertForPreTraining(BertConfig(**preset_config(preset, vocab_size).to_dict())).train()
    compiled = torch.compile(model) if variant else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    turn = itertools.cycle([torch_batch(one_batch(batches, number)) for number in range(BATCHES)])

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = compiled(**next(turn)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        loss.item()

    return step


def train_keras_hub(preset: str, vocab_size: int, batches: Batches, precision: str, variant: bool) -> Callable[[], Any]:
    """Returns a function that trains KerasHub's masked language model, compiled by Keras."""
    import keras
    import keras_hub

    from kbert.config import preset_config

    config = preset_config(preset, vocab_size)
    dtype = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=vocab_size,
        num_layers=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        hidden_dim=config.hidden_size,
        intermediate_dim=config.intermediate_size,
        dtype=dtype,
    )
    model = keras_hub.models.BertMaskedLM(backbone)
    model.compile(
        optimizer=keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY, global_clipnorm=CLIP_NORM),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[],
        jit_compile=variant,
    )
    names = {
        "token_ids": "input_word_ids",
        "padding_mask": "input_mask",
        "segment_ids": "input_type_ids",
        "mask_positions": "masked_lm_positions",
    }
    turn = itertools.cycle(range(BATCHES))

    def step() -> None:
        batch = one_batch(batches, next(turn))
        inputs = {theirs: batch[ours] for theirs, ours in names.items()}
        model.train_on_batch(inputs, batch["masked_lm_ids"], sample_weight=batch["masked_lm_weights"])

    return step


def one_batch(batches: Mapping[str, np.ndarray], number: int) -> Batches:
    """Returns the features of one of the batches."""
    return {name: values[number] for name, values in batches.items()}


def work(options: argparse.Namespace) -> None:
    """Runs a contestant in this process."""
    name, preset, precision, path = options.work
    kind = name.removesuffix("-xla").removesuffix("-compile")
    with np.load(path) as stored:
        batches = {feature: stored[feature] for feature in stored.files}
    vocab_size = int(batches.pop("vocab_size"))
    makers = {"kbert": train_kbert, "transformers": train_transformers, "keras-hub": train_keras_hub}
    step = makers[kind](preset, vocab_size, batches, precision, name != kind)
    turns.serve_rounds(step, options.steps, peak_of(kind, precision))


def peak_of(kind: str, precision: str) -> Callable[[], float]:
    """Returns a function that measures the operations per second of a library on products of 2,048 x 2,048 matrices."""
    size = 2048
    if kind == "transformers":
        import torch

        matrix = torch.full((size, size), 1 / size, dtype=getattr(torch, precision))
        return lambda: turns.matrix_peak(lambda: (matrix @ matrix)[0, 0].item(), size)
    import tensorflow as tf

    factor = tf.cast(tf.fill([size, size], 1 / size), precision)
    product = tf.function(lambda: tf.matmul(factor, factor)[0, 0])
    return lambda: turns.matrix_peak(lambda: product().numpy(), size)


# === Referee ===


def make_batches(data: Path, megabytes: float, folder: Path) -> dict[int, Path]:
    """Writes a file of batches for each length, from the start of English Wikipedia; returns the paths by length."""
    from kbert.corpus.building.build import build_corpus
    from kbert.corpus.reading.pipeline import PretrainingBatches

    text = folder / "text.txt"
    with open(data / "corpus" / "en_wikipedia.txt", "rb") as handle:
        text.write_bytes(handle.read(int(megabytes * 1_000_000)).decode(errors="ignore").encode())
    corpus = folder / "corpus"
    vocab = data / "vocab" / "bert-base-uncased.txt"
    build_corpus([text], vocab=vocab, output=corpus, sequence_length=EXAMPLE_LENGTH, workers=1)
    paths = {}
    for length, pack_to in ((EXAMPLE_LENGTH, None), (512, 512)):
        source = PretrainingBatches(corpus, batch_size=TOKENS // length, pack_to=pack_to)
        batches = list(itertools.islice(source.batches(), BATCHES))
        arrays: dict[str, Any] = {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
        paths[length] = folder / f"batches-{length}.npz"
        np.savez(paths[length], vocab_size=np.array(len(source.vocabulary)), **arrays)
    return paths


def run_cell(preset: str, length: int, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Lets all contestants take turns with one model on batches of one length, and returns the results."""
    from kbert.config import preset_config
    from kbert.training.monitoring.flops import training_flops

    with np.load(path) as stored:
        shapes = {name: stored[name].shape[1:] for name in stored.files if name != "vocab_size"}
        tokens = float(stored["input_mask"].sum()) / BATCHES
        config = preset_config(preset, int(stored["vocab_size"]))
        operations = skipping = training_flops(config, shapes)
        if length == EXAMPLE_LENGTH:
            used = int((stored["masked_lm_weights"] > 0).sum()) // BATCHES
            skipping = training_flops(config, shapes, tokens=int(tokens), predictions=used)
    started = {}
    for name, precision in itertools.product(options.only, options.precisions):
        environment = {"KERAS_BACKEND": "tensorflow"}
        if options.same_settings or name.startswith("kbert"):
            environment |= turns.PROGRAM_SETTINGS
        arguments = ["--steps", str(options.steps), "--work", name, preset, precision, str(path)]
        started[f"{name} {precision}"] = turns.start([sys.executable, __file__, *arguments], environment)
    running = {}
    for name, process in started.items():
        if turns.answer(process) is None:
            print(f"{name}: ended with {process.wait()}, left out", file=sys.stderr)
        else:
            running[name] = process
    results = turns.take_turns(running, options.rounds)
    peaks: dict[str, float] = {}
    for name, outcomes in results.items():
        precision = name.split()[1]
        peaks[precision] = max(peaks.get(precision, 0.0), *(outcome["peak"] for outcome in outcomes))
    rows = []
    for name, outcomes in results.items():
        contestant, precision = name.split()
        seconds, cpu = (statistics.median(outcome[key] for outcome in outcomes) for key in ("seconds", "cpu_seconds"))
        row = {
            "contestant": contestant,
            "precision": precision,
            "tokens_per_second": tokens / seconds,
            "tokens_per_cpu_second": tokens / cpu,
            "part_of_peak": (skipping if contestant == "kbert" else operations) / seconds / peaks[precision],
        }
        rows.append(row)
    load = os.getloadavg()[0]
    return {
        "preset": preset,
        "length": length,
        "rounds": options.rounds,
        "load": load,
        "settings": "all" if options.same_settings else "kbert",
        "peaks": peaks,
        "rows": rows,
    }


def show(cell: Mapping[str, Any]) -> None:
    """Prints the results of a cell, and the ratios of kbert's best to the best of the other libraries."""
    peaks = ", ".join(f"{name} {value / 1e9:,.0f} GFLOP/s" for name, value in cell["peaks"].items())
    print(f"\n{cell['preset']}, {TOKENS // cell['length']} x {cell['length']}; medians of {cell['rounds']} rounds; "
          f"load {cell['load']:.1f}; the program's settings: {cell['settings']}; matrix peak {peaks}")  # fmt: skip
    print(f"{'':28} {'':9} {'tokens/s':>9} {'cpu':>9} {'of peak':>8}")
    for row in cell["rows"]:
        print(
            f"{CONTESTANTS[row['contestant']]:28} {row['precision']:9} {row['tokens_per_second']:9,.0f} "
            f"{row['tokens_per_cpu_second']:9,.0f} {row['part_of_peak']:8.1%}"
        )
    for rival in ("transformers", "keras-hub"):
        ratios = []
        for key in ("tokens_per_second", "tokens_per_cpu_second"):
            ours, theirs = (
                max((row[key] for row in cell["rows"] if row["contestant"].startswith(kind)), default=None)
                for kind in ("kbert", rival)
            )
            if ours is None or theirs is None:
                break
            ratios.append(ours / theirs)
        else:
            print(f"kbert's best / {rival}'s best: {ratios[0]:.2f} by the clock, {ratios[1]:.2f} by processor time")


def main() -> None:
    """Runs the missing cells, and prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--megabytes", type=float, default=2.0, help="the size of the text")
    parser.add_argument("--presets", nargs="+", default=["tiny", "mini", "small", "base"])
    parser.add_argument("--lengths", nargs="+", type=int, choices=[EXAMPLE_LENGTH, 512], default=[EXAMPLE_LENGTH, 512])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument(
        "--same-settings", action="store_true", help="use the environment settings of the `kbert` program for all"
    )
    parser.add_argument("--steps", type=int, default=3, help="the number of steps of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="the file of results; cells in it are not measured again")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    for name in list(options.only):
        package = PACKAGES.get(name.removesuffix("-xla"), "kbert")
        if importlib.util.find_spec(package) is None:
            print(f"{CONTESTANTS[name]}: not installed")
            options.only.remove(name)
    cells = json.loads(options.json.read_text()) if options.json and options.json.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        paths: dict[int, Path] = {}
        for preset, length in itertools.product(options.presets, options.lengths):
            cell = next((cell for cell in cells if (cell["preset"], cell["length"]) == (preset, length)), None)
            if cell is None:
                paths = paths or make_batches(options.data, options.megabytes, Path(folder))
                cell = run_cell(preset, length, paths[length], options)
                cells.append(cell)
                if options.json:
                    options.json.write_text(json.dumps(cells, indent=2) + "\n")
            show(cell)


if __name__ == "__main__":
    main()

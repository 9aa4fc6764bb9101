"""Fine-tuning steps of kbert and transformers on SST-2 with its real lengths: examples per second.

    python benchmarks/finetuning.py --presets small --rounds 5 --json finetuning.json

A step prepares a batch of 32 examples, runs the forward and the backward pass with dropout, clips the gradients and
applies AdamW, in each library as its users run it:

    kbert           the steps of `kbert finetune classification`: batches of similar length that are prepared in
                    advance, a model that skips padding, an optimizer that updates the rows of the token table that
                    occur in the data, ten steps per call; with huge memory pages and oneDNN, as the program sets them
                    (--same-settings sets them for transformers too)
    transformers    BertForSequenceClassification, shuffled batches padded to their longest text (a DataLoader that pads
                    like DataCollatorWithPadding), PyTorch's fused AdamW, eager and with torch.compile(dynamic=True);
                    bfloat16 by autocast. This is the default of its Trainer. --group-by-length adds batches of
                    similar length, which the Trainer has as an option

Models have random weights, because weights do not change the speed. Texts are tokenized in advance. Each round has its
own examples from the training file, so that shapes are not known from the previous round; all contestants learn from
the same examples. An additional first round is the warm-up. A run of kbert sorts 64 batches by length at a time; here
it sorts those of a round. Contestants run in their own processes and take turns; medians of wall-clock time are
compared. The column `cpu` shows examples per second of processor time, which is the better measure on a machine with
other load.

With --json each finished preset is written immediately, and a later run with the same file measures only the missing
presets.
"""

from __future__ import annotations

import argparse
import atexit
import importlib.util
import itertools
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import turns
from pretraining import PRECISIONS, peak_of

CONTESTANTS = {
    "kbert": "kbert",
    "transformers": "transformers",
    "transformers-compile": "transformers, torch.compile",
}
BATCH_SIZE = 32
CALL_STEPS = 10
"""The steps per call of kbert's loop. A call ends when a row of metrics is written (LoopSettings.log_every)."""
LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 3e-5, 0.01, 1.0

Rows = dict[str, np.ndarray]
"""The tokenized examples: `ids` of all texts, concatenated; `lengths` and `labels`, [rounds, examples]; `vocab_size`;
and `sequence_length`."""


# === Contestants: each returns a function that trains for one round ===


class RoundBatches:
    """The batches of all rounds; those of a round are made as `kbert finetune` makes the batches of an epoch.

    Args:
        rounds: The `LengthBucketedBatches` of each round.
    """

    def __init__(self, rounds: list[Any]) -> None:
        self.rounds = rounds
        self.batch_size = rounds[0].batch_size
        self.element_spec = rounds[0].element_spec

    def batches(self, start: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields all batches after the first `start`."""
        return itertools.islice(itertools.chain.from_iterable(one.batches() for one in self.rounds), start, None)

    def example_names(self, number: int) -> list[str]:
        """Returns the names of the examples in batch `number`; they count from the start of its round."""
        steps = self.rounds[0].steps
        return self.rounds[number // steps].example_names(number % steps)


def train_kbert(preset: str, rows: Rows, options: argparse.Namespace, precision: str, _: bool) -> Callable[[], Any]:
    """Returns a function that trains with the steps of `kbert finetune classification`."""
    import tensorflow as tf

    from kbert.config import preset_config
    from kbert.models.encoder import BertEncoder
    from kbert.tasks.classification import ClassificationTask
    from kbert.tasks.protocol.training_rows import Ragged, TrainingRows
    from kbert.training.data.batches import LengthBucketedBatches
    from kbert.training.devices.jit import skips_padding
    from kbert.training.devices.strategy import Distribution
    from kbert.training.loop.inputs import Input
    from kbert.training.loop.loss_scale import LossScale
    from kbert.training.loop.step import TrainingStep
    from kbert.training.monitoring.throughput import Throughput
    from kbert.training.optimizers.registry import make_optimizer
    from kbert.training.optimizers.settings import OptimizerSettings

    placement = Distribution(tf.distribute.OneDeviceStrategy("/cpu:0"))
    config = preset_config(preset, int(rows["vocab_size"]))
    task = ClassificationTask(["0", "1"])
    skip_padding = skips_padding(placement, jit=False)
    reads = {"pooled": task.pooled, "pooled_only": task.pooled_only}
    model = task.build(BertEncoder(config, precision=precision, skip_padding=skip_padding, **reads))
    settings = OptimizerSettings("adamw", weight_decay=WEIGHT_DECAY, bias_correction=True, clip_norm=CLIP_NORM)
    used = np.union1d(rows["ids"], [0])
    used_rows = {model.encoder.embeddings.token_table.path: used} if len(used) < config.vocab_size / 2 else None
    step = TrainingStep(
        model,
        objective=task,
        optimizer=make_optimizer(model.trainable_variables, settings, used_rows),
        loss_scale=LossScale(False),
        accumulation=1,
        strategy=placement.strategy,
        jit=False,
    )
    ends = np.cumsum(rows["lengths"].sum(-1))[:-1]
    rounds = [
        LengthBucketedBatches(
            TrainingRows(Ragged(ids, lengths), Ragged(np.zeros_like(ids), lengths), {"labels": labels}),
            batch_size=BATCH_SIZE,
            steps=options.steps,
            sequence_length=int(rows["sequence_length"]),
        )
        for ids, lengths, labels in zip(np.split(rows["ids"], ends), rows["lengths"], rows["labels"], strict=True)
    ]
    source = Input(RoundBatches(rounds), placement, 0, Throughput(config, skip_padding=skip_padding))
    atexit.register(source.close)  # a thread of it prepares batches in advance
    function = step.function(source.iterator, source.element_spec)
    numbers = itertools.count()

    def train() -> None:
        steps = list(itertools.islice(numbers, options.steps))
        for start in range(0, len(steps), CALL_STEPS):
            part = steps[start : start + CALL_STEPS]
            rates = tf.constant([LEARNING_RATE] * len(part))
            function(source.iterator, tf.constant(part[0], tf.int64), rates)["loss"].numpy()

    return train


def train_transformers(
    preset: str, rows: Rows, options: argparse.Namespace, precision: str, variant: bool
) -> Callable[[], Any]:
    """Returns a function that trains transformers' model with PyTorch's optimizer and loader."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from kbert.config import preset_config

    shape = preset_config(preset, int(rows["vocab_size"])).to_dict()
    model = BertForSequenceClassification(BertConfig(**{**shape, "num_labels": 2})).train()
    compiled = torch.compile(model, dynamic=True) if variant else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    ends = np.cumsum(rows["lengths"])[:-1]
    texts = [torch.as_tensor(ids, dtype=torch.int64) for ids in np.split(rows["ids"], ends)]
    examples = list(zip(texts, rows["labels"].ravel().tolist(), strict=True))
    size = rows["labels"].shape[1]
    numbers = itertools.count()

    def train() -> None:
        first = next(numbers) * size
        for batch in torch_loader(examples[first : first + size], grouped=options.group_by_length):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                loss = compiled(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
            loss.item()

    return train


def torch_loader(examples: Any, *, grouped: bool) -> Any:
    """Returns shuffled batches of (ids, label), each padded to its longest text.

    Args:
        examples: The pairs of ids and label.
        grouped: Whether batches are made of texts of similar length.
    """
    import torch
    from torch.nn.utils.rnn import pad_sequence

    def collate(chosen: list[Any]) -> dict[str, Any]:
        texts, labels = zip(*chosen, strict=True)
        return {
            "input_ids": pad_sequence(list(texts), batch_first=True),
            "token_type_ids": pad_sequence([torch.zeros_like(text) for text in texts], batch_first=True),
            "attention_mask": pad_sequence([torch.ones_like(text) for text in texts], batch_first=True),
            "labels": torch.tensor(labels),
        }

    if not grouped:
        return torch.utils.data.DataLoader(examples, BATCH_SIZE, shuffle=True, collate_fn=collate)
    from transformers.trainer_pt_utils import get_length_grouped_indices

    # Fifty batches are sorted together, as in a long run. The default depends on the number of examples.
    order = get_length_grouped_indices([len(text) for text, _ in examples], BATCH_SIZE, mega_batch_mult=50)
    return torch.utils.data.DataLoader(examples, BATCH_SIZE, sampler=order, collate_fn=collate)


def work(options: argparse.Namespace) -> None:
    """Runs a contestant in this process."""
    name, preset, precision, path = options.work
    kind = name.removesuffix("-compile")
    with np.load(path) as stored:
        rows = {feature: stored[feature] for feature in stored.files}
    makers = {"kbert": train_kbert, "transformers": train_transformers}
    train = makers[kind](preset, rows, options, precision, name != kind)
    # A round is one call, so the warm-up call is a whole round.
    turns.serve_rounds(train, 1, peak_of(kind, precision))


# === Referee ===


def draw_rows(data: Path, options: argparse.Namespace, path: Path) -> None:
    """Tokenizes random training rows for the warm-up round and all other rounds, and writes them to a file."""
    from kbert.tasks.catalogue import TASKS
    from kbert.tasks.readers.tables import read_table
    from kbert.text.tokenizer import Tokenizer

    table = read_table(data / "sst2" / "train.tsv", {"text": "sentence", "label": "label"})
    found = [(row.values["text"], int(row.values["label"])) for row in table]
    shape = (options.rounds + 1, options.steps * BATCH_SIZE)
    count = shape[0] * shape[1]
    if count > len(found):
        sys.exit(f"{len(found):,} rows are too few for {shape[0]} rounds of {shape[1]:,}; lower --rounds or --steps")
    chosen = [found[place] for place in np.random.default_rng(0).permutation(len(found))[:count]]
    tokenizer = Tokenizer(data / "vocab" / "bert-base-uncased.txt")
    length = TASKS["classification"].sequence_length
    ids = [tokenizer.encode(text, max_length=length).ids for text, _ in chosen]
    np.savez(
        path,
        ids=np.concatenate(ids).astype(np.int32),
        lengths=np.array([len(row) for row in ids]).reshape(shape),
        labels=np.array([label for _, label in chosen], np.int32).reshape(shape),
        vocab_size=np.array(len(tokenizer.vocabulary)),
        sequence_length=np.array(length),
    )


def run_cell(preset: str, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Lets all contestants take turns with one model, and returns the results."""
    with np.load(path) as stored:
        lengths = stored["lengths"]
    started = {}
    for name, precision in itertools.product(options.only, options.precisions):
        environment = {"KERAS_BACKEND": "tensorflow"}
        if options.same_settings or name == "kbert":
            environment |= turns.PROGRAM_SETTINGS
        arguments = ["--steps", str(options.steps), "--work", name, preset, precision, str(path)]
        if options.group_by_length:
            arguments.append("--group-by-length")
        started[f"{name} {precision}"] = turns.start([sys.executable, __file__, *arguments], environment)
    running = {}
    for name, process in started.items():
        if turns.answer(process) is None:
            print(f"{name}: ended with {process.wait()}, left out", file=sys.stderr)
        else:
            running[name] = process
    results = turns.take_turns(running, options.rounds)
    examples = lengths.shape[1]
    peaks: dict[str, float] = {}
    rows = []
    for name, outcomes in results.items():
        contestant, precision = name.split()
        peaks[precision] = max(peaks.get(precision, 0.0), *(outcome["peak"] for outcome in outcomes))
        seconds, cpu = (statistics.median(outcome[key] for outcome in outcomes) for key in ("seconds", "cpu_seconds"))
        row = {
            "contestant": contestant,
            "precision": precision,
            "examples_per_second": examples / seconds,
            "examples_per_cpu_second": examples / cpu,
            "seconds": [outcome["seconds"] for outcome in outcomes],
            "cpu_seconds": [outcome["cpu_seconds"] for outcome in outcomes],
        }
        rows.append(row)
    return {
        "preset": preset,
        "batch_size": BATCH_SIZE,
        "steps": options.steps,
        "rounds": options.rounds,
        "tokens_per_example": float(lengths[1:].mean()),
        "longest": int(lengths[1:].max()),
        "load": os.getloadavg()[0],
        "settings": "all" if options.same_settings else "kbert",
        "group_by_length": options.group_by_length,
        "peaks": peaks,
        "rows": rows,
    }


def show(cell: Mapping[str, Any]) -> None:
    """Prints the results of a preset, and the ratio of kbert's best to transformers' best."""
    peaks = ", ".join(f"{name} {value / 1e9:,.0f} GFLOP/s" for name, value in cell["peaks"].items())
    grouped = "all" if cell["group_by_length"] else "kbert"
    print(f"\n{cell['preset']}, SST-2: {cell['tokens_per_example']:.1f} tokens an example, {cell['longest']} at most; "
          f"batches of {cell['batch_size']}; medians of {cell['rounds']} rounds of {cell['steps']} steps")  # fmt: skip
    print(f"load {cell['load']:.1f}; the program's settings: {cell['settings']}; like lengths: {grouped}; "
          f"matrix peak {peaks}")  # fmt: skip
    print(f"{'':28} {'':9} {'examples/s':>10} {'cpu':>9}")
    for row in cell["rows"]:
        print(
            f"{CONTESTANTS[row['contestant']]:28} {row['precision']:9} {row['examples_per_second']:10,.1f} "
            f"{row['examples_per_cpu_second']:9,.1f}"
        )
    ratios = []
    for key in ("examples_per_second", "examples_per_cpu_second"):
        ours, theirs = (
            max((row[key] for row in cell["rows"] if row["contestant"].startswith(kind)), default=None)
            for kind in ("kbert", "transformers")
        )
        if ours is None or theirs is None:
            return
        ratios.append(ours / theirs)
    print(f"kbert's best / transformers' best: {ratios[0]:.2f} by the clock, {ratios[1]:.2f} by processor time")


def main() -> None:
    """Runs the missing presets, and prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--presets", nargs="+", default=["small"])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument(
        "--same-settings", action="store_true", help="use the environment settings of the `kbert` program for all"
    )
    parser.add_argument("--group-by-length", action="store_true", help="group transformers' batches by length too")
    parser.add_argument("--steps", type=int, default=20, help="the number of steps of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="the file of results; presets in it are not measured again")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    for name in list(options.only):
        if name != "kbert" and importlib.util.find_spec("transformers") is None:
            print(f"{CONTESTANTS[name]}: not installed")
            options.only.remove(name)
    cells = json.loads(options.json.read_text()) if options.json and options.json.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npz"
        for preset in options.presets:
            wanted = (preset, options.group_by_length)
            cell = next((cell for cell in cells if (cell["preset"], cell["group_by_length"]) == wanted), None)
            if cell is None:
                if not path.exists():
                    draw_rows(options.data, options, path)
                cell = run_cell(preset, path, options)
                cells.append(cell)
                if options.json:
                    options.json.write_text(json.dumps(cells, indent=2) + "\n")
            show(cell)


if __name__ == "__main__":
    main()

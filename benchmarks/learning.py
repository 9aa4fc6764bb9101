"""Learning curves: validation loss of kbert and transformers from the same weights on the same batches.

    python benchmarks/learning.py --steps 600 --work learning/ --json learning.json

Both start from the same random weights, which kbert initializes, see the same examples with the same masks in the same
order, and use the same optimizer: AdamW with bias correction, no weight decay for biases and LayerNorm, gradients
clipped to the norm 1, linear warm-up and decay. Only the implementation and the random numbers of dropout differ. The
loss is measured on documents that are not used for training, with fixed masks. kbert runs as `kbert pretrain`;
transformers runs as a loop around BertForPreTraining with PyTorch's fused AdamW. The two run one after the other, so
that each has the machine for itself. Seconds include training and compilation, but not evaluations.

With --work the runs are kept, and a finished run is not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SEQUENCE_LENGTH = 128
SEED = 0
HELD_OUT_BATCH = 64

Curve = list[dict[str, float]]
"""The points of a learning curve, each with the keys "step", "seconds" and "loss"."""


def write_corpora(options: argparse.Namespace, folder: Path) -> None:
    """Builds the training corpus, and a validation corpus from the last documents."""
    from kbert.corpus.building.build import build_corpus

    text = (options.data / "corpus" / "en_wikipedia.txt").read_bytes()
    documents = text.split(b"\n\n")
    held_out = max(2, int(len(documents) * options.held_out))
    parts = {"corpus": documents[:-held_out], "held-out": documents[-held_out:]}
    for name, part in parts.items():
        path = folder / f"{name}.txt"
        path.write_bytes(b"\n\n".join(part))
        build_corpus(
            [path],
            vocab=options.vocab,
            output=folder / name,
            sequence_length=SEQUENCE_LENGTH,
            workers=os.cpu_count() or 1,
        )


def write_start(options: argparse.Namespace, folder: Path) -> None:
    """Writes a bundle with random weights, from which both start."""
    from kbert.config import preset_config
    from kbert.model_folder.bundle import Bundle
    from kbert.models import tensor_names
    from kbert.models.encoder import BertEncoder
    from kbert.models.pretraining import PretrainingModel
    from kbert.text.tokenizer import Tokenizer
    from kbert.text.vocabulary import Vocabulary

    vocabulary = Vocabulary.from_file(options.vocab)
    config = preset_config(options.preset, len(vocabulary)).replace(
        hidden_dropout_prob=options.dropout, attention_probs_dropout_prob=options.dropout
    )
    model = PretrainingModel(BertEncoder(config, seed=SEED))
    Bundle(
        config=config,
        tokenizer=Tokenizer(vocabulary),
        tensors=tensor_names.read_tensors(tensor_names.pretraining_bindings(model)),
        architecture="BertForPreTraining",
        settings={"kind": "pretraining"},
    ).save(folder, "Fresh weights.")


def learn_kbert(options: argparse.Namespace, folder: Path) -> Curve:
    """Runs `kbert pretrain`, and returns the curve from its metrics.jsonl."""
    run = folder / "kbert"
    command = [sys.executable, "-m", "kbert", "pretrain", "--resume"]
    for name, value in {
        "corpus": folder / "corpus",
        "model": folder / "start",
        "output": run,
        "validation-corpus": folder / "held-out",
        "evaluate-every": options.every,
        "log-every": options.every,
        "checkpoint-every": options.every,
        "steps": options.steps,
        "batch-size": options.batch_size,
        "learning-rate": options.learning_rate,
        "warmup-steps": options.warmup,
        "seed": SEED,
    }.items():
        command += [f"--{name}", str(value)]
    subprocess.run([*command, "--bias-correction"], check=True)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    curve, seconds = [], 0.0
    for row in rows:
        seconds += row["seconds"]
        if "validation_mlm_loss" in row:
            curve.append({"step": row["step"], "seconds": seconds, "loss": row["validation_mlm_loss"]})
    return curve


def learn_transformers(options: argparse.Namespace, folder: Path) -> Curve:
    """Trains the same model with transformers and PyTorch, and returns its curve."""
    import torch
    from backends import torch_batch
    from transformers import BertForPreTraining

    from kbert.corpus.reading.pipeline import PretrainingBatches
    from kbert.training.optimizers.schedules import Schedule

    model = BertForPreTraining.from_pretrained(folder / "start").train()
    plain = [value for name, value in model.named_parameters() if name.endswith("bias") or "LayerNorm" in name]
    known = {id(value) for value in plain}
    decayed = [value for value in model.parameters() if id(value) not in known]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, eps=1e-6, fused=True)
    schedule = Schedule(options.learning_rate, options.steps, options.warmup)
    compiled = torch.compile(model) if options.compile else model
    held_out = [torch_batch(batch) for batch in held_out_batches(folder)]
    batches = PretrainingBatches(folder / "corpus", batch_size=options.batch_size, seed=SEED).batches()

    def held_out_loss() -> float:
        model.eval()
        total = count = 0.0
        with torch.no_grad():
            for batch in held_out:
                used = batch["labels"] >= 0
                hidden = model.bert(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])[0]
                logits = model.cls.predictions(hidden[used])
                total += torch.nn.functional.cross_entropy(logits, batch["labels"][used], reduction="sum").item()
                count += int(used.sum())
        model.train()
        return total / count

    curve: Curve = []
    seconds, began = 0.0, time.perf_counter()
    for step, batch in zip(range(options.steps), batches, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step)
        optimizer.zero_grad()
        compiled(**torch_batch(batch)).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % options.every == 0 or step + 1 == options.steps:
            seconds += time.perf_counter() - began
            curve.append({"step": step + 1, "seconds": seconds, "loss": held_out_loss()})
            print(f"transformers: {curve[-1]}", file=sys.stderr, flush=True)
            began = time.perf_counter()
    return curve


def held_out_batches(folder: Path) -> Iterator[dict[str, np.ndarray]]:
    """Yields the validation batches of kbert, in the same order and with the same masks."""
    from kbert.model_folder.bundle import Bundle
    from kbert.training.evaluation import ValidationCorpus

    packed = ("input_example_ids", "input_positions")  # only packed models need them
    held_out = ValidationCorpus(folder / "held-out", Bundle.load(folder / "start").tokenizer)
    for batch in held_out.batches(HELD_OUT_BATCH):
        yield {name: values for name, values in batch.items() if name not in packed}


def seconds_to(curve: Sequence[dict[str, float]], loss: float) -> float | None:
    """Returns the seconds after which a curve reaches a loss, by linear interpolation; None if it does not reach it."""
    before: dict[str, float] | None = None
    for row in curve:
        if row["loss"] <= loss:
            if before is None or before["loss"] == row["loss"]:
                return row["seconds"]
            part = (before["loss"] - loss) / (before["loss"] - row["loss"])
            return before["seconds"] + part * (row["seconds"] - before["seconds"])
        before = row
    return None


def show(curves: dict[str, Curve]) -> None:
    """Prints both curves with their differences, and the times in which they reach the loss that both reach."""
    ours, theirs = curves["kbert"], curves["transformers"]
    print(f"{'step':>6}  {'kbert':>8} {'seconds':>8}  {'transformers':>12} {'seconds':>8}  {'difference':>10}")
    for one, other in zip(ours, theirs, strict=True):
        print(
            f"{one['step']:6,.0f}  {one['loss']:8.4f} {one['seconds']:8.0f}  {other['loss']:12.4f} "
            f"{other['seconds']:8.0f}  {one['loss'] - other['loss']:+10.4f}"
        )
    common = max(ours[-1]["loss"], theirs[-1]["loss"])
    our_time, their_time = seconds_to(ours, common), seconds_to(theirs, common)
    if our_time is not None and their_time is not None:
        print(f"to {common:.4f}: {our_time:.0f} s and {their_time:.0f} s, {their_time / our_time:.2f} x")


def main() -> None:
    """Runs both, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--vocab", type=Path, help="The vocab.txt. By default that of bert-base-uncased.")
    parser.add_argument("--preset", default="mini")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--every", type=int, default=100, help="The number of steps between measurements.")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--warmup", type=int, default=60)
    parser.add_argument("--dropout", type=float, default=0.1, help="With 0 both must have the same losses.")
    parser.add_argument("--held-out", type=float, default=0.01, help="The share of documents for validation.")
    parser.add_argument("--compile", action="store_true", help="Run transformers with torch.compile.")
    parser.add_argument("--work", type=Path, help="The folder in which runs are kept.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.vocab = options.vocab or options.data / "vocab" / "bert-base-uncased.txt"

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        curves: dict[str, Any] = {}
        stored = folder / "curves.json"
        if stored.exists():
            curves = json.loads(stored.read_text())
        if not (folder / "start").exists():
            write_corpora(options, folder)
            write_start(options, folder / "start")
        for name, learn in (("kbert", learn_kbert), ("transformers", learn_transformers)):
            if name not in curves:
                curves[name] = learn(options, folder)
                stored.write_text(json.dumps(curves, indent=2) + "\n")
    show(curves)
    if options.json:
        options.json.write_text(json.dumps(curves, indent=2) + "\n")


if __name__ == "__main__":
    main()

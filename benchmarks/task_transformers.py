"""Transformers in the table of benchmarks/tasks.py: it follows the recipe of a run of kbert, on the same rows.

The optimizer, the learning rates, the steps, the batch size, the longest input, dropout and the held-out rows are those
of the run. The tokenizer, the model, the heads, padding and batches are those of transformers: batches are drawn at
random and padded to their longest row, or grouped by length on request, as its Trainer does; the last batch of an epoch
may be smaller. The training loop is a plain one with PyTorch's fused AdamW.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from task_data import Prepared
from task_transformers_kinds import IGNORED, KINDS, Kind, Row

_OPTIMIZER_SETTINGS = {
    "name": "adamw",
    "bias_correction": True,
    "layer_decay": 1.0,
}
"""The optimizer settings that a plain AdamW requires; the settings below are numbers that it accepts."""
_OPTIMIZER_NUMBERS = ("beta_1", "beta_2", "epsilon", "weight_decay", "clip_norm", "head_rate")
_ENCODER = ("bert.embeddings.", "bert.encoder.")
"""The prefixes of parameters with the encoder's learning rate; the pooler and the head have another rate."""
_RECIPE = {"accumulation": 1, "frozen_layers": 0, "early_stopping": None}
_FOLLOWED = ("batch_size", "sequence_length", "evaluate_every", "seed")
_IRRELEVANT = ("steps", "log_every", "checkpoint_every", "remat", "spike_threshold")
"""Numbers and flags of a recipe that have no effect here; the steps are also part of the schedule."""
_ELSEWHERE = (
    *("epochs", "learning_rate", "warmup_proportion", "power"),  # in the schedule
    *("weight_decay", "layer_decay", "bias_correction", "head_learning_rate"),  # in the optimizer
    *("validation_split", "limit", "skip_bad", "augment_copies"),  # in the digest of the data
    *("stride", "max_answer_length", "n_best"),  # options of the task
)
"""Options of a recipe that are also part of another of its entries, or are passed by the caller."""
_SHAPE = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
_EVALUATION_BATCH = 64


def finetune(
    task: str,
    prepared: Prepared,
    options: Mapping[str, Any],
    *,
    model: Path,
    metric: str,
    held_out: float,
    recipe: Mapping[str, Any],
    seed: int,
    grouped: bool,
) -> dict[str, Any]:
    """Fine-tunes a model of transformers, and measures the weights that are best on the held-out rows.

    Args:
        task: The name of the task, a key of KINDS.
        prepared: The training and test files.
        options: The arguments of `kbert.finetune` that say how the files are read.
        model: The folder of the pretrained weights.
        metric: The metric that chooses the weights and is returned.
        held_out: The share of training rows that is held out.
        recipe: The contents of run.json of kbert's run, with its "main_metric".
        seed: The seed of that run.
        grouped: Whether batches are made of rows of similar length.

    Returns:
        A dictionary with "value", the metric on the test rows; "held_out", the metric on the held-out rows; "seconds"
        and "cpu_seconds" of tokenization, training and the evaluations on the held-out rows; and "steps".

    Raises:
        ValueError: The recipe is not supported here, or the rows differ from those of the run.
    """
    import torch
    from transformers import AutoTokenizer, set_seed
    from transformers.utils import logging

    import kbert
    from kbert.tasks.catalogue import task_info
    from kbert.training.data.task_examples import digest, read_task_examples

    _check_recipe(recipe, metric)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    columns, task_options = task_info(task).split(options)
    settings = kbert.FinetuneOptions(
        model=model, train=prepared.train, validation_split=held_out, seed=seed, output=prepared.train.parent / "none"
    )
    found = read_task_examples(task, settings, columns=columns, task_options=task_options)
    if digest(found.train, found.validation) != recipe["data"]:
        raise ValueError("the rows are not those that kbert's run learnt from and held out")
    test = found.task.keep_valid(
        found.task.read_examples(prepared.test, columns, options=task_options), prepared.test, None
    )

    began, cpu_began = time.perf_counter(), time.process_time()
    kind = KINDS[task](found.task, AutoTokenizer.from_pretrained(model), int(recipe["sequence_length"]))
    set_seed(seed)
    changes = {name: recipe["config"].get(name) for name in _SHAPE}
    network = kind.network(str(model), {name: value for name, value in changes.items() if value is not None})
    training_rows, held_rows = kind.rows(found.train), kind.rows(found.validation)
    best: tuple[float, float] | None = None
    weights: dict[str, Any] = {}
    precision = str(recipe["precision"])
    for _ in _train(network, training_rows, recipe, seed, grouped):
        value, loss = _evaluate(kind, network, held_rows, found.validation, precision)
        # If metrics are equal, the smaller loss decides.
        if best is None or (value, -loss) > best:
            best, weights = (value, -loss), copy.deepcopy(network.state_dict())
    assert best is not None
    network.load_state_dict(weights)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    value, _ = _evaluate(kind, network, kind.rows(test), test, precision)
    return {
        "value": value,
        "held_out": best[0],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "steps": recipe["schedule"]["steps"],
        "rows_of_tokens": len(training_rows),
        "torch_threads": torch.get_num_threads(),
    }


def _check_recipe(recipe: Mapping[str, Any], metric: str) -> None:
    """Checks that a plain AdamW can follow a recipe.

    Raises:
        ValueError: A setting of the recipe is not supported here.
    """
    wanted: dict[str, Any] = {**_RECIPE, "main_metric": metric}
    found = {name: recipe.get(name, value) for name, value in wanted.items()}
    for name, value in recipe["optimizer"].items():
        if name not in _OPTIMIZER_NUMBERS:
            wanted[name], found[name] = _OPTIMIZER_SETTINGS.get(name), value
    # Later versions of kbert may record more. Names and texts are harmless, but a number or a flag may matter.
    for name, value in recipe.items():
        known = name in wanted or name in (*_FOLLOWED, *_IRRELEVANT, *_ELSEWHERE)
        if not known and isinstance(value, int | float) and value:
            wanted[name], found[name] = None, value
    for name, value in wanted.items():
        if found[name] != value:
            raise ValueError(f"expected a recipe with {name}={value!r}; other values are not supported here. "
                             f"Received: {name}={found[name]!r}")  # fmt: skip


# === Training ===


def _train(network: Any, rows: Sequence[Row], recipe: Mapping[str, Any], seed: int, grouped: bool) -> Iterator[int]:
    """Trains the network, and yields the step whenever the weights are to be evaluated."""
    import torch

    from kbert.training.optimizers.schedules import Schedule

    schedule = Schedule(**recipe["schedule"])
    settings = recipe["optimizer"]
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in network.named_parameters():
        decay = 0.0 if name.endswith("bias") or "LayerNorm" in name else settings["weight_decay"]
        rate = 1.0 if name.startswith(_ENCODER) else settings["head_rate"]
        groups.setdefault((decay, rate), []).append(parameter)
    optimizer = torch.optim.AdamW(
        [{"params": each, "weight_decay": decay, "rate": rate} for (decay, rate), each in groups.items()],
        lr=schedule.peak,
        betas=(settings["beta_1"], settings["beta_2"]),
        eps=settings["epsilon"],
        fused=True,
    )
    every = recipe["evaluate_every"]
    batches = _batches(rows, recipe["batch_size"], seed, grouped)
    for step in range(schedule.steps):
        network.train()
        for group in optimizer.param_groups:
            group["lr"] = schedule(step) * group["rate"]
        with _precision(recipe["precision"]):
            loss = network(**_tensors(next(batches))).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings["clip_norm"])
        optimizer.step()
        if not math.isfinite(loss.item()):
            raise ValueError(f"the loss of step {step + 1} is not a number")
        if (step + 1) % every == 0 or step + 1 == schedule.steps:
            yield step + 1


def _batches(rows: Sequence[Row], size: int, seed: int, grouped: bool) -> Iterator[list[Row]]:
    """Yields batches of one epoch after the other, without end."""
    import torch
    from transformers.trainer_pt_utils import get_length_grouped_indices

    generator = torch.Generator()
    generator.manual_seed(seed)
    lengths = [len(row["input_ids"]) for row in rows]
    while True:
        if grouped:
            order = get_length_grouped_indices(lengths, size, generator=generator)
        else:
            order = torch.randperm(len(rows), generator=generator).tolist()
        for start in range(0, len(order), size):
            yield [rows[place] for place in order[start : start + size]]


def _tensors(rows: Sequence[Row]) -> dict[str, Any]:
    """Returns the arguments of the model, padded to the longest row."""
    import torch

    width = max(len(row["input_ids"]) for row in rows)
    batch = {
        "input_ids": torch.zeros((len(rows), width), dtype=torch.int64),
        "token_type_ids": torch.zeros((len(rows), width), dtype=torch.int64),
        "attention_mask": torch.zeros((len(rows), width), dtype=torch.int64),
    }
    by_token = isinstance(rows[0].get("labels"), list)
    if by_token:
        batch["labels"] = torch.full((len(rows), width), IGNORED)
    for place, row in enumerate(rows):
        length = len(row["input_ids"])
        batch["attention_mask"][place, :length] = 1
        for name in ("input_ids", "token_type_ids", *(["labels"] if by_token else [])):
            batch[name][place, :length] = torch.tensor(row[name])
    for name in ("labels", "start_positions", "end_positions"):
        if name in rows[0] and name not in batch:
            batch[name] = torch.tensor([row[name] for row in rows])
    return batch


def _precision(name: str) -> Any:
    import torch

    return torch.autocast("cpu", torch.bfloat16, enabled=name == "bfloat16")


def _evaluate(
    kind: Kind, network: Any, rows: Sequence[Row], examples: Sequence[Any], precision: str
) -> tuple[float, float]:
    """Returns the metric of the examples, and the mean loss over their rows."""
    import torch

    network.eval()
    answers: list[Any] = [None] * len(rows)
    total = 0.0
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]["input_ids"]))
    with torch.inference_mode(), _precision(precision):
        for start in range(0, len(order), _EVALUATION_BATCH):
            places = order[start : start + _EVALUATION_BATCH]
            outputs = network(**_tensors([rows[place] for place in places]))
            total += outputs.loss.item() * len(places)
            logits = [outputs[name].float().numpy() for name in kind.outputs]
            for number, place in enumerate(places):
                answers[place] = [values[number] for values in logits]
    return kind.metric(examples, rows, answers), total / len(rows)

"""Transformers in the table of benchmarks/tasks.py: it follows the recipe of a run of kbert, on the same rows.

The optimizer, the learning rates, the steps, the batch size, the longest input, dropout and the held-out rows are those
of the run. The tokenizer, the model, the heads, padding and batches are those of transformers: batches are drawn at
random and padded to their longest row, or grouped by length on request, as its Trainer does; the last batch of an epoch
may be smaller. The training loop is a plain one with PyTorch's fused AdamW.
"""

from __future__ import annotations

import abc
import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from task_data import Prepared

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
    *("weight_decay", "layer_decay", "bias_correction"),  # in the optimizer
    *("validation_split", "limit", "skip_bad", "augment_copies"),  # in the digest of the data
    *("stride", "max_answer_length", "n_best"),  # options of the task
)
"""Options of a recipe that are also part of another of its entries, or are passed by the caller."""
_SHAPE = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
_EVALUATION_BATCH = 64
_IGNORED = -100
_LONGEST_QUESTION = 64
_NEVER = -1e30

Row = dict[str, Any]
"""A row of the model's input: the lists `input_ids` and `token_type_ids`, and the labels or positions to predict."""


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

    from kbert.tasks.catalogue import task_info
    from kbert.training.data.task_examples import digest, read_task_examples

    _check_recipe(recipe, metric)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    columns, task_options = task_info(task).split(options)
    found = read_task_examples(
        task,
        prepared.train,
        validation=None,
        validation_split=held_out,
        fold=None,
        columns=columns,
        options=task_options,
        limit=None,
        skip_bad=0,
        seed=seed,
    )
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
    wanted = {**_RECIPE, "main_metric": metric}
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
        batch["labels"] = torch.full((len(rows), width), _IGNORED)
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


# === Kinds of tasks ===


class Kind(abc.ABC):
    """The part of fine-tuning that differs between tasks.

    Args:
        task: kbert's task, which has the labels and settings.
        tokenizer: The tokenizer of transformers.
        length: The longest input in tokens.
    """

    outputs: tuple[str, ...] = ("logits",)
    """The names of the model's outputs that `metric` needs."""

    def __init__(self, task: Any, tokenizer: Any, length: int) -> None:
        self.task = task
        self.tokenizer = tokenizer
        self.length = length

    @abc.abstractmethod
    def network(self, folder: str, changes: Mapping[str, Any]) -> Any:
        """Returns the pretrained model with a new head."""

    @abc.abstractmethod
    def rows(self, examples: Sequence[Any]) -> list[Row]:
        """Returns the rows of all examples in order; an example may have several rows."""

    @abc.abstractmethod
    def metric(self, examples: Sequence[Any], rows: Sequence[Row], answers: Sequence[Any]) -> float:
        """Returns the metric, computed from the outputs for each row."""


class Classification(Kind):
    """Classification of texts or pairs of texts, measured by accuracy."""

    def network(self, folder: str, changes: Mapping[str, Any]) -> Any:
        """Returns a BertForSequenceClassification."""
        from transformers import AutoModelForSequenceClassification

        return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(self.task.labels), **changes)

    def rows(self, examples: Sequence[Any]) -> list[Row]:
        """Returns one row per example."""
        texts = [example.text for example in examples]
        pairs = [example.pair for example in examples] if examples[0].pair is not None else None
        encoded = self.tokenizer(texts, pairs, truncation=True, max_length=self.length, padding=False)
        ids = {label: number for number, label in enumerate(self.task.labels)}
        return [
            {"input_ids": tokens, "token_type_ids": types, "labels": ids[example.target]}
            for tokens, types, example in zip(encoded["input_ids"], encoded["token_type_ids"], examples, strict=True)
        ]

    def metric(self, examples: Sequence[Any], rows: Sequence[Row], answers: Sequence[Any]) -> float:
        """Returns the accuracy."""
        return float(np.mean([logits.argmax() == row["labels"] for row, (logits,) in zip(rows, answers, strict=True)]))


class Tagging(Kind):
    """Tagging of words at their first pieces in the IOB2 scheme, measured by seqeval's F1 of entities."""

    def network(self, folder: str, changes: Mapping[str, Any]) -> Any:
        """Returns a BertForTokenClassification."""
        from transformers import AutoModelForTokenClassification

        return AutoModelForTokenClassification.from_pretrained(folder, num_labels=len(self.task.labels), **changes)

    def rows(self, examples: Sequence[Any]) -> list[Row]:
        """Returns one row per window.

        Windows overlap by a quarter; each half of an overlap counts in one of its two windows.
        """
        overlap = self.length // 4
        encoded = self.tokenizer(
            [example.text for example in examples],
            truncation=True,
            max_length=self.length,
            stride=overlap,
            padding=False,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        texts = encoded["overflow_to_sample_mapping"]
        tags = [_Tags(example.spans or (), self.task.labels) for example in examples]
        rows = []
        for window, text in enumerate(texts):
            first = window == 0 or texts[window - 1] != text
            last = window + 1 == len(texts) or texts[window + 1] != text
            words = encoded.word_ids(window)
            inside = [place for place, word in enumerate(words) if word is not None]
            begin = 0 if first else overlap // 2
            end = len(inside) if last else len(inside) - (overlap - overlap // 2)
            labels = [_IGNORED] * len(words)
            for number in range(begin, end):
                place = inside[number]
                if number == 0 or words[place] != words[inside[number - 1]]:
                    labels[place] = tags[text].label(encoded["offset_mapping"][window][place][0])
            types = encoded["token_type_ids"][window]
            rows.append({"input_ids": encoded["input_ids"][window], "token_type_ids": types, "labels": labels,
                         "text": text})  # fmt: skip
        return rows

    def metric(self, examples: Sequence[Any], rows: Sequence[Row], answers: Sequence[Any]) -> float:
        """Returns seqeval's F1 of entities."""
        from seqeval.metrics import f1_score

        true: list[list[str]] = [[] for _ in examples]
        given: list[list[str]] = [[] for _ in examples]
        names = self.task.labels
        for row, (logits,) in zip(rows, answers, strict=True):
            for place, label in enumerate(row["labels"]):
                if label != _IGNORED:
                    true[row["text"]].append(names[label])
                    given[row["text"]].append(names[int(logits[place].argmax())])
        return float(f1_score(true, given, zero_division=0))


class _Tags:
    """Assigns labels to the words of a text, which are passed in order.

    Args:
        spans: The labelled spans of the text.
        labels: All labels; a label's id is its index.
    """

    def __init__(self, spans: Sequence[Any], labels: Sequence[str]) -> None:
        self._spans = sorted(spans, key=lambda span: span.start)
        self._ids = {label: number for number, label in enumerate(labels)}
        self._before: Any = None

    def label(self, start: int) -> int:
        """Returns the label id of the next word, which starts at the character `start`."""
        span = next((span for span in self._spans if span.start <= start < span.end), None)
        letter = "I" if span is self._before else "B"
        self._before = span
        return self._ids["O" if span is None else f"{letter}-{span.label}"]


class QuestionAnswering(Kind):
    """Prediction of the first and last token of the answer in windows of the context, measured by the F1 of words."""

    outputs = ("start_logits", "end_logits")

    def network(self, folder: str, changes: Mapping[str, Any]) -> Any:
        """Returns a BertForQuestionAnswering."""
        from transformers import AutoModelForQuestionAnswering

        return AutoModelForQuestionAnswering.from_pretrained(folder, **changes)

    def rows(self, examples: Sequence[Any]) -> list[Row]:
        """Returns one row per window; its `start_positions` and `end_positions` are 0 if it has no answer."""
        third = (self.length - 3) // 3
        stride = third if self.task.stride is None else self.task.stride
        most = min(_LONGEST_QUESTION, max(third, 1), self.length - 3 - stride - 1)
        encoded = self.tokenizer(
            [self._cut(example.question, most) for example in examples],
            [example.context for example in examples],
            truncation="only_second",
            max_length=self.length,
            stride=stride,
            padding=False,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        rows = []
        for window, number in enumerate(encoded["overflow_to_sample_mapping"]):
            places = [place for place, part in enumerate(encoded.sequence_ids(window)) if part == 1]
            offsets = encoded["offset_mapping"][window]
            start, end = _answer_places(examples[number].answers, places, offsets)
            rows.append(
                {
                    "input_ids": encoded["input_ids"][window],
                    "token_type_ids": encoded["token_type_ids"][window],
                    "start_positions": start,
                    "end_positions": end,
                    "question": number,
                    "offsets": offsets,
                    "context": (places[0], places[-1]),
                }
            )
        return rows

    def _cut(self, question: str, most: int) -> str:
        offsets = self.tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return question if len(offsets) <= most else question[: offsets[most - 1][1]]

    def metric(self, examples: Sequence[Any], rows: Sequence[Row], answers: Sequence[Any]) -> float:
        """Returns the F1 of the answers with the largest sum of logits in any window."""
        from kbert.tasks.metrics import question_answering as metrics

        best = [_NEVER] * len(examples)
        texts = [""] * len(examples)
        for row, (start_logits, end_logits) in zip(rows, answers, strict=True):
            first, last = row["context"]
            size = last + 1 - first
            sums = start_logits[first : last + 1, None] + end_logits[None, first : last + 1]
            distance = np.arange(size)[None] - np.arange(size)[:, None]
            sums = np.where((distance >= 0) & (distance < self.task.max_answer_length), sums, _NEVER)
            start, end = np.unravel_index(sums.argmax(), sums.shape)
            number = row["question"]
            if sums[start, end] > best[number]:
                best[number] = float(sums[start, end])
                offsets = row["offsets"]
                texts[number] = examples[number].context[offsets[first + start][0] : offsets[first + end][1]]
        return float(
            np.mean(
                [
                    metrics.best(metrics.f1, [answer.text for answer in example.answers], text)
                    for example, text in zip(examples, texts, strict=True)
                ]
            )
        )


def _answer_places(answers: Sequence[Any] | None, places: Sequence[int], offsets: Sequence[Any]) -> tuple[int, int]:
    """Returns the first and the last token of the first answer, or (0, 0) if it is not completely inside the window.

    Args:
        answers: The true answers of the question.
        places: The positions of the context's tokens in the window.
        offsets: The start and end character of each token.
    """
    if not answers:
        return 0, 0
    text = answers[0].text
    begin = answers[0].start + len(text) - len(text.lstrip())
    limit = answers[0].start + len(text.rstrip())
    touching = [place for place in places if offsets[place][0] < limit and offsets[place][1] > begin]
    if not touching or offsets[places[0]][0] > begin or offsets[places[-1]][1] < limit:
        return 0, 0
    return touching[0], touching[-1]


KINDS: dict[str, type[Kind]] = {
    "classification": Classification,
    "tagging": Tagging,
    "question-answering": QuestionAnswering,
}

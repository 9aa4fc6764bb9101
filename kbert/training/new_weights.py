"""What a model that is trained takes over from the one that training starts with, and what is new in it.

A finished model of the same task brings its head. Its rows stand for labels, which are found by their names: another
order changes nothing, and labels that are new get rows of their own beside those that are known. What is new is said in
one line, as Transformers does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kbert.architectures import CRF_TENSOR
from kbert.bundle import Bundle
from kbert.errors import KbertError
from kbert.models.tensor_names import Slots, assign_tensors
from kbert.tasks.task import Task, task_from_bundle

_PARTS = {
    "bert.pooler.": "pooler",
    "cls.predictions.": "masked-language-model head",
    "cls.seq_relationship.": "next-sentence head",
    "classifier.": "classifier",
    "qa_outputs.": "answer-span head",
    "crf.": "CRF",
}
"""What the parts beside an encoder are called, by how the names of their tensors begin."""
_DECODER = "cls.predictions.decoder.weight"


def assign_starting_weights(task: Task[Any], slots: Slots, start: Bundle) -> list[str]:
    """Sets the weights of a task's model from those of another model.

    The encoder is taken over, and of a model for the same task the head, too.

    Args:
        task: What is learnt.
        slots: The variables of its model, with fresh weights.
        start: The model that training starts with.

    Returns:
        The parts that keep their fresh weights, in words, such as "classifier (2 of 5 labels)".

    Raises:
        BundleError: A tensor of the encoder is missing or has another shape.
    """
    encoder = {name: slot for name, slot in slots.items() if name.startswith("bert.")}
    head, new = _kept_head(task, slots, start)
    pooled = any(name.startswith("bert.pooler.") for name in start.tensors)
    kept = {name: slot for name, slot in encoder.items() if pooled or not name.startswith("bert.pooler.")}
    assign_tensors(kept | {name: slots[name] for name in head}, {**start.tensors, **head})
    return [*new, *_absent(slots, [*kept, *head])]


def tell_new_weights(parts: Sequence[str]) -> None:
    """Says on standard error which parts are new; nothing where none is."""
    if parts:
        print(f"new weights: {'; '.join(parts)}", file=sys.stderr, flush=True)


def new_parts(slots: Iterable[str], tensors: Iterable[str]) -> list[str]:
    """The parts of a pretraining model that do not come from the tensors that it starts with, in words."""
    slots, tensors = list(slots), list(tensors)
    parts = _absent(slots, tensors)
    if _DECODER in tensors:
        parts.append("decoder of the masked-language-model head (that of the model is not tied to its token table)")
    return parts


def _absent(names: Iterable[str], known: Iterable[str]) -> list[str]:
    names, known = list(names), list(known)
    return [
        part
        for start, part in _PARTS.items()
        if any(name.startswith(start) for name in names) and not any(name.startswith(start) for name in known)
    ]


def _kept_head(task: Task[Any], slots: Slots, start: Bundle) -> tuple[dict[str, np.ndarray], list[str]]:
    """The tensors of the head as far as the model that training starts with has them, and what of them is new."""
    old = _old_task(task, start)
    names = [name for name in slots if not name.startswith("bert.")]
    shapes = {name: start.tensors[name].shape for name in names if name in start.tensors}
    if old is None or not shapes:
        return {}, []
    rows, old_rows = task.head_rows, old.head_rows
    if rows is None or old_rows is None or list(rows) == list(old_rows):
        fits = {name: start.tensors[name] for name, shape in shapes.items() if shape == slots[name].shape}
        return fits, []
    places = [(rows.index(row), old_rows.index(row)) for row in rows if row in old_rows]
    if not places or any(shape[0] != len(old_rows) for shape in shapes.values()):
        return {}, []
    ours, theirs = (list(side) for side in zip(*places, strict=True))
    head = {}
    for name in shapes:
        fresh, known = slots[name].read(), np.asarray(start.tensors[name], np.float32)
        if name == CRF_TENSOR:  # from each tag to each
            fresh[np.ix_(ours, ours)] = known[np.ix_(theirs, theirs)]
        else:
            fresh[ours] = known[theirs]
        head[name] = fresh
    count = len(rows) - len(places)
    return head, [f"classifier ({count} of {len(rows)} labels)"] if count else []


def _old_task(task: Task[Any], start: Bundle) -> Task[Any] | None:
    """The task of the model that training starts with, if it is the same one, on the same kind of texts."""
    paired = getattr(task, "paired", False)
    try:
        if start.settings.get("task"):
            old: Task[Any] | None = task_from_bundle(start, "the model")
        else:
            old = type(task).from_foreign(start, paired=paired)
    except (KbertError, ValueError):
        return None
    return old if type(old) is type(task) and getattr(old, "paired", False) == paired else None

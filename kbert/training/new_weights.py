"""The weights that training takes from the starting model, and the parts that keep their random initialization.

If the starting model is a finished model of the same task, its head is taken as well. The rows of the head are matched
by the names of the labels, so the order of the labels does not matter, and new labels get randomly initialized rows. A
log message names the randomly initialized parts, as in Transformers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kbert.errors import KbertError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.parts import CRF_TENSOR, DECODER
from kbert.models.tensor_names import TensorBindings, assign_tensors, new_bottlenecks
from kbert.tasks.factories import task_from_bundle
from kbert.tasks.protocol.answering import AnsweringTask
from kbert.tasks.protocol.trainable import TrainableTask

_LOG = logging.getLogger("kbert")
_PARTS = {
    "bert.pooler.": "pooler",
    "cls.predictions.": "masked-language-model head",
    "cls.seq_relationship.": "next-sentence head",
    "classifier.": "classifier",
    "qa_outputs.": "answer-span head",
    "crf.": "CRF",
    "relation.": "layer of the entities",
    "predicates.": "classifier of predicates",
    "senses.": "classifier of senses",
}
"""The names of the parts outside the encoder, by the prefixes of their tensors."""


def assign_starting_weights(task: TrainableTask[Any], bindings: TensorBindings, start: Bundle) -> list[str]:
    """Sets the weights of a task's model from those of another model.

    The encoder is taken, and the head as well if the other model is for the same task.

    Args:
        task: The task that is trained.
        bindings: The variables of the task's model, with randomly initialized weights.
        start: The starting model.

    Returns:
        The names of the parts that stay randomly initialized, such as "classifier (2 of 5 labels)".

    Raises:
        BundleError: A tensor of the encoder is missing or has another shape.
    """
    encoder = {name: binding for name, binding in bindings.items() if name.startswith("bert.")}
    head, new = _kept_head(task, bindings, start)
    pooled = any(name.startswith("bert.pooler.") for name in start.tensors)
    fresh = new_bottlenecks(encoder, start.tensors)
    kept = {
        name: binding
        for name, binding in encoder.items()
        if name not in fresh and (pooled or not name.startswith("bert.pooler."))
    }
    assign_tensors(kept | {name: bindings[name] for name in head}, {**start.tensors, **head})
    return [*new, *_absent(bindings, [*kept, *head])]


def tell_new_weights(parts: Sequence[str]) -> None:
    """Logs the names of the randomly initialized parts, if there are any."""
    if parts:
        _LOG.info(f"new weights: {'; '.join(parts)}")


def new_parts(bindings: Iterable[str], tensors: Iterable[str]) -> list[str]:
    """Returns the names of the parts of a pretraining model that are missing from its starting tensors."""
    bindings, tensors = list(bindings), list(tensors)
    parts = _absent(bindings, tensors)
    if DECODER in tensors:
        parts.append("decoder of the masked-language-model head (the model's own is not tied to its token table)")
    return parts


def _absent(names: Iterable[str], known: Iterable[str]) -> list[str]:
    names, known = list(names), list(known)
    return [
        part
        for start, part in _PARTS.items()
        if any(name.startswith(start) for name in names) and not any(name.startswith(start) for name in known)
    ]


def _kept_head(
    task: TrainableTask[Any], bindings: TensorBindings, start: Bundle
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Returns the head's tensors from the starting model, and the names of the parts that stay randomly initialized."""
    old = _old_task(task, start)
    names = [name for name in bindings if not name.startswith("bert.")]
    shapes = {name: start.tensors[name].shape for name in names if name in start.tensors}
    if old is None or not shapes:
        return {}, []
    rows, old_rows = task.head_row_names, old.head_row_names
    if rows is None or old_rows is None or list(rows) == list(old_rows):
        fits = {name: start.tensors[name] for name, shape in shapes.items() if shape == bindings[name].shape}
        return fits, []
    places = [(rows.index(row), old_rows.index(row)) for row in rows if row in old_rows]
    if not places or any(shape[0] != len(old_rows) for shape in shapes.values()):
        return {}, []
    ours, theirs = (list(side) for side in zip(*places, strict=True))
    head = {}
    for name in shapes:
        fresh, known = bindings[name].read(), np.asarray(start.tensors[name], np.float32)
        if name == CRF_TENSOR:  # one entry for each pair of tags
            fresh[np.ix_(ours, ours)] = known[np.ix_(theirs, theirs)]
        else:
            fresh[ours] = known[theirs]
        head[name] = fresh
    count = len(rows) - len(places)
    return head, [f"classifier ({count} of {len(rows)} labels)"] if count else []


def _old_task(task: TrainableTask[Any], start: Bundle) -> TrainableTask[Any] | None:
    """Returns the task of the starting model if it is the same task on the same kind of texts, and None otherwise."""
    paired = getattr(task, "paired", False)
    try:
        if start.settings.get("task"):
            old: AnsweringTask[Any] | None = task_from_bundle(start, "the model")
        else:
            old = type(task).from_foreign(start, paired=paired)
    except (KbertError, ValueError):
        return None
    if not isinstance(old, TrainableTask) or type(old) is not type(task):
        return None
    return old if getattr(old, "paired", False) == paired else None

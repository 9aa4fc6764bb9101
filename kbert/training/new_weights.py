"""Which weights of a model that is trained on are new, in one line: Transformers says so, and so does kbert."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

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


def new_parts(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The parts of a model, which has tensors called `names`, of which none of the `known` ones is."""
    known = list(known)
    return [
        part
        for start, part in _PARTS.items()
        if any(name.startswith(start) for name in names) and not any(name.startswith(start) for name in known)
    ]


def tell_new_parts(slots: Mapping[str, Any], tensors: Mapping[str, Any], more: Iterable[str] = ()) -> None:
    """Says on standard error which parts of a model do not come from the weights that it starts with.

    Args:
        slots: The tensors of the model, by name.
        tensors: Those that it starts with.
        more: Further parts that are new, in words.
    """
    parts = [*more, *new_parts(slots, tensors)]
    if _DECODER in tensors and any(name.startswith("cls.predictions.") for name in slots):
        parts.append("the decoder of the masked-language-model head (it was not tied to the token table, and is now)")
    if parts:
        print(
            f"new weights, not of the model that training starts with: {'; '.join(parts)}", file=sys.stderr, flush=True
        )

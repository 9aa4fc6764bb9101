"""Fills several masks of a text one after the other, the most certain first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from kbert import features
from kbert.prediction.predictor import Predictor
from kbert.tasks.protocol.training_rows import strings
from kbert.text.vocabulary import CONTINUATION, MASK, SPECIAL_TOKENS

_PIECES = 10
"""The number of pieces that are given for each mask."""


def fill_jointly(model: Predictor, texts: Sequence[str], *, batch_size: int = 64) -> list[dict[str, Any]]:
    """Fills the masks of texts so that their pieces fit together.

    In each round the model predicts all masks that are still open, and the one with the most probable piece gets this
    piece. The other masks are then predicted given this piece. Special tokens are never filled in.

    Args:
        model: A model that fills masks, from `kbert.load`.
        texts: The texts.
        batch_size: The number of texts that are processed together.

    Returns:
        For each text {"text", "filled", "order", "masks"}. "filled" is the text with its pieces. "order" has the
        numbers of the masks, from 1, in the order in which they were filled. "masks" has {piece: probability} for each
        mask, the likeliest first, as they were when the mask was filled. A mask beyond the longest input of the model
        is not filled.
    """
    found: list[dict[str, Any]] = []
    for start in range(0, len(texts), batch_size):
        found += _fill_batch(model, texts[start : start + batch_size])
    return found


def _fill_batch(model: Predictor, texts: Sequence[str]) -> list[dict[str, Any]]:
    task, text_model = model.task, model.text_model
    encoded = task.encode(text_model.encode, {"text": strings(texts)})
    inputs = {feature.name: encoded[feature.name].numpy() for feature in task.model_features}
    ids, positions = inputs[features.INPUT_WORD_IDS.name], inputs[features.MASKED_LM_POSITIONS.name]
    counts = encoded["count"].numpy()
    vocabulary = model.tokenizer.vocabulary
    special = [vocabulary.ids[token] for token in SPECIAL_TOKENS]
    rows = np.arange(len(texts))
    orders: list[list[int]] = [[] for _ in texts]
    masks: list[list[dict[str, float]]] = [[{}] * int(count) for count in counts]
    is_open = np.arange(positions.shape[1]) < counts[:, None]
    while is_open.any():
        logits = text_model.from_tokens(*inputs.values())["mlm_logits"].numpy()[..., : len(vocabulary)]
        logits[..., special] = -np.inf
        probabilities = np.exp(logits - logits.max(-1, keepdims=True))
        probabilities /= probabilities.sum(-1, keepdims=True)
        chosen = np.where(is_open, probabilities.max(-1), -1.0).argmax(-1)
        for row in rows[is_open.any(-1)]:
            place = int(chosen[row])
            best = np.argsort(-probabilities[row, place], kind="stable")[:_PIECES]
            masks[row][place] = {vocabulary[piece]: float(probabilities[row, place, piece]) for piece in best}
            ids[row, positions[row, place]] = best[0]
            orders[row].append(place + 1)
            is_open[row, place] = False
    return [
        {"text": text, "filled": _filled(text, [next(iter(mask)) for mask in found]), "order": order, "masks": found}
        for text, order, found in zip(texts, orders, masks, strict=True)
    ]


def _filled(text: str, pieces: Sequence[str]) -> str:
    """Returns a text with pieces instead of its masks. A piece that continues a word is joined to what is before it."""
    remaining = iter(pieces)
    parts = re.split(f"({re.escape(MASK)})", text)
    filled = ""
    for part in parts:
        piece = next(remaining, part) if part == MASK else part
        if part == MASK and piece.startswith(CONTINUATION):
            filled = filled.rstrip() + piece.removeprefix(CONTINUATION)
        else:
            filled += piece
    return filled

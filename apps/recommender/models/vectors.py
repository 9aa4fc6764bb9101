"""Vectors of the texts of items, by an embedding model of kbert. They are computed once and kept in a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import kbert
from apps.recommender.errors import RecommenderError

_AT_ONCE = 1024


def item_vectors(
    texts: Sequence[str], model: str, folder: Path, progress: Callable[[str], None] = lambda _: None
) -> np.ndarray:
    """Returns a vector of length 1 for each text, float32 [texts, width].

    Args:
        texts: The texts.
        model: A model folder of `kbert finetune embedding` or of sentence-transformers, or "hf://owner/name".
        folder: Where the vectors are kept.
        progress: Called with a line while vectors are computed.

    Raises:
        KbertError: The model cannot be loaded, or is for another task.
    """
    path = folder / f"vectors-{_key(texts, model)}.npy"
    if path.is_file():
        vectors: np.ndarray = np.load(path, allow_pickle=False)
        return vectors
    loaded = kbert.load(model)
    if loaded.task.name != "embedding":
        raise RecommenderError(
            "expected a model for embedding (kbert finetune embedding, or of sentence-transformers). Received: "
            f"{model}, which is for {loaded.task.name}"
        )
    found: list[np.ndarray] = []
    for start in range(0, len(texts), _AT_ONCE):
        progress(f"{model}: {start:,} of {len(texts):,} items")
        found += [answer["vector"] for answer in loaded.predict(list(texts[start : start + _AT_ONCE]))]
    vectors = np.array(found, np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        np.save(file, vectors)
    part.replace(path)
    return vectors


def _key(texts: Sequence[str], model: str) -> str:
    """Returns what changes if a text or the weights do; a model of the hub is known by its name."""
    weights = Path(model) / "model.safetensors"
    status = weights.stat() if weights.is_file() else None
    state = [str(Path(model).resolve()), status.st_size, status.st_mtime_ns] if status else [model]
    return hashlib.sha256(json.dumps([state, list(texts)]).encode()).hexdigest()[:16]

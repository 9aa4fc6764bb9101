"""Indexes of documents, which are searched exactly or with a graph of neighbours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.errors import BundleError, UsageError, shown
from kbert.files import PathLike
from kbert.model_folder.hub import resolve
from kbert.model_folder.sentence_transformers import POOLINGS, SIMILARITIES
from kbert.model_folder.weights_digest import weights_sha256
from kbert.retrieval.embedder import chosen_prompt, load_embedder, task_of
from kbert.retrieval.index_files import (
    ANN_FILE,
    COMPARED_AT_ONCE,
    OFFSETS_FILE,
    SETTINGS_FILE,
    TEXTS_FILE,
    VECTORS_FILE,
    import_faiss,
)
from kbert.retrieval.options import DTYPES
from kbert.tasks.metrics.vectors import of_length_1

_SCORES_AT_ONCE = 1 << 24
"""The maximum number of scores that are computed together, for all queries."""
_CANDIDATES = 128
"""The number of candidates that a search of the HNSW graph keeps."""


class Index:
    """An index of documents, open for searching.

    Args:
        folder: The folder that `build_index` wrote.
        model: The folder of the model, if it has moved since the index was built.
        prompt: The text that is put before each query; the default is that of the index.
        prompt_name: The name of a prompt of the model, instead of `prompt`.

    Raises:
        BundleError: The folder is not an index, is damaged, or was built with other weights.
        UsageError: The model has no prompt of that name.

    Example:
        >>> from pathlib import Path
        >>> Path("documents").mkdir()
        >>> _ = Path("documents/cat.txt").write_text("the cat")
        >>> _ = Path("documents/dog.txt").write_text("a dog ran")
        >>> kbert.build_index("pretrained", input="documents", output="index", pooling="mean")
        2
        >>> index = kbert.Index("index")
        >>> len(index)
        2
        >>> [result["id"] for result in index.search(["a dog ran"])[0]]
        ['dog.txt#1', 'cat.txt#1']
    """

    def __init__(
        self,
        folder: PathLike,
        *,
        model: PathLike | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
    ) -> None:
        self.folder = Path(folder)
        settings = files.read_json(self.folder / SETTINGS_FILE, BundleError)
        types = {"model": str, "model_sha256": str, "documents": int, "width": int, "dtype": str}
        for name, kind in types.items():
            value = settings.get(name) if isinstance(settings, dict) else None
            if not isinstance(value, kind):
                raise BundleError(
                    f"{self.folder / SETTINGS_FILE}: expected {name}, {kind.__name__}. Received: {shown(value)}"
                )
        where = resolve(model or settings["model"])
        if not Path(where).is_dir():
            raise BundleError(
                f"expected the model of {self.folder} at {where}. Received: no such folder; name it with --model"
            )
        if weights_sha256(where) != settings["model_sha256"]:
            raise BundleError(
                f"expected the weights that {self.folder} was built with. Received: {where} with other weights; "
                "build the index again"
            )
        dtype = _one_of(settings, "dtype", DTYPES)
        pooling, self.similarity = _one_of(settings, "pooling", POOLINGS), _one_of(settings, "similarity", SIMILARITIES)
        predictor = load_embedder(where, pooling=pooling)
        query_prompt = settings.get("query_prompt", "")
        if not isinstance(query_prompt, str):
            raise BundleError(
                f"{self.folder / SETTINGS_FILE}: expected query_prompt, str. Received: {shown(query_prompt)}"
            )
        if prompt is not None or prompt_name is not None:
            query_prompt = chosen_prompt(task_of(predictor), prompt, prompt_name, ())
        self.predictor = predictor.with_task(task_of(predictor).with_prompt(query_prompt))
        count, width = settings["documents"], settings["width"]
        self.vectors = _mapped(self.folder / VECTORS_FILE, (count, width), np.dtype(dtype))
        self.offsets = _mapped(self.folder / OFFSETS_FILE, (count,), np.dtype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets)

    def search(
        self, queries: Sequence[str], *, top: int = 5, ann: bool = False, batch_size: int = 64
    ) -> list[list[dict[str, Any]]]:
        """Finds the documents nearest to each query.

        Args:
            queries: The texts to search for.
            top: The number of documents for each query.
            ann: Whether the graph is searched instead of all vectors: faster, but it may miss documents.
            batch_size: The number of queries that are embedded together.

        Returns:
            For each query a list of {"rank", "id", "text", "score"}, best first. The score is the cosine or the dot
            product. Documents with equal scores keep their order in the collection.

        Raises:
            UsageError: `top` is less than 1, or the index has no graph.

        Example:
            >>> results = kbert.Index("index").search(["the cat", "a dog ran"], top=1)
            >>> [(found[0]["rank"], found[0]["id"], round(found[0]["score"], 3)) for found in results]
            [(1, 'cat.txt#1', 1.0), (1, 'dog.txt#1', 1.0)]
        """
        if top < 1:
            raise UsageError(f"top must be at least 1. Received: top={top}")
        if not queries:
            return []
        top = min(top, len(self))
        vectors = self.predictor.answers(list(queries), batch_size=batch_size)["vector"]
        if self.similarity != "dot":
            vectors = of_length_1(vectors)
        scores, places = self._nearest_in_graph(vectors, top) if ann else self.nearest(vectors, top)
        return [
            [
                {"rank": rank, **self._document(int(place)), "score": float(score)}
                for rank, (place, score) in enumerate(zip(row, row_scores, strict=True), start=1)
                if place >= 0
            ]
            for row, row_scores in zip(places, scores, strict=True)
        ]

    def nearest(self, queries: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
        """Compares queries with all vectors, in parts.

        Args:
            queries: Vectors, float32 [Q, H].
            top: The number of documents for each query, at most the number of documents.

        Returns:
            The scores and the row numbers of the nearest vectors, float32 [Q, top] and int64 [Q, top], best first.
        """
        scores = np.empty((len(queries), 0), np.float32)
        places = np.empty((len(queries), 0), np.int64)
        size = max(1, min(COMPARED_AT_ONCE, _SCORES_AT_ONCE // max(1, len(queries))))
        for start in range(0, len(self), size):
            part = np.asarray(self.vectors[start : start + size], np.float32)
            numbers = np.broadcast_to(np.arange(start, start + len(part)), (len(queries), len(part)))
            scores = np.concatenate([scores, queries @ part.T], 1)
            places = np.concatenate([places, numbers], 1)
            order = _best(scores, top)
            scores, places = np.take_along_axis(scores, order, 1), np.take_along_axis(places, order, 1)
        return scores, places

    def _nearest_in_graph(self, queries: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
        faiss = import_faiss()
        path = self.folder / ANN_FILE
        if not path.is_file():
            raise UsageError(
                f"--ann must be used with an index that has a graph. Received: {self.folder}, which has none; build it "
                "with `kbert index build --ann`"
            )
        try:
            graph = faiss.read_index(str(path))
        except RuntimeError:
            raise BundleError(f"{path} is damaged; build the index again") from None
        graph.hnsw.efSearch = max(_CANDIDATES, 2 * top)
        scores, places = graph.search(np.ascontiguousarray(queries, np.float32), top)
        return scores, places

    def _document(self, place: int) -> dict[str, Any]:
        with open(self.folder / TEXTS_FILE, "rb") as handle:
            try:
                handle.seek(int(self.offsets[place]))
                values = json.loads(handle.readline())
                return {"id": values["id"], "text": values["text"]}
            except (OSError, ValueError, KeyError, TypeError):
                raise BundleError(f"{self.folder / TEXTS_FILE} is damaged; build the index again") from None


def _one_of(settings: Mapping[str, Any], name: str, choices: Sequence[str]) -> str | None:
    """Returns the value of a setting in index.json; None if it is missing, as in indexes of older versions of kbert."""
    value = settings.get(name)
    if value is not None and value not in choices:
        raise BundleError(f"{SETTINGS_FILE}: expected {name}, one of {', '.join(choices)}. Received: {shown(value)}")
    return value


def _best(scores: np.ndarray, top: int) -> np.ndarray:
    """Returns the columns of the `top` largest scores of each row, largest first; equal scores keep their order."""
    if scores.shape[1] > 4 * top:
        # A partition does not keep the order of equal scores, so all scores from the smallest wanted one on are sorted.
        least = np.partition(scores, scores.shape[1] - top, 1)[:, -top:].min(1)
        rows = [np.flatnonzero(row >= limit) for row, limit in zip(scores, least, strict=True)]
        chosen = [
            places[np.argsort(-row[places], kind="stable")[:top]] for places, row in zip(rows, scores, strict=True)
        ]
        return np.stack(chosen)
    return np.argsort(-scores, axis=1, kind="stable")[:, :top]


def _mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as problem:
        raise BundleError(f"{path} is damaged ({' '.join(str(problem).split()):.200}); build the index again") from None
    if array.shape != shape or array.dtype != dtype:
        raise BundleError(
            f"{path}: expected {dtype} {list(shape)}. Received: {array.dtype} {list(array.shape)}; build the index "
            "again"
        )
    return array

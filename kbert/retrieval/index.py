"""Indexes of documents: folders with vectors and texts, which are searched exactly or with a graph of neighbours.

The files of an index are:

index.json      the model, the number of documents, the dtype, and how vectors are made and compared
vectors.npy     the vectors [documents, H], memory-mapped in a search; if cosines are compared, their length is 1
texts.jsonl     {"id": …, "text": …} on each line, in the order of the vectors
offsets.npy     the byte offset of each of these lines, int64
ann.faiss       with `ann`, an HNSW graph of faiss (arXiv 1603.09320)
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.errors import BundleError, UsageError, shown
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.model_folder.sentence_transformers import POOLINGS, SIMILARITIES
from kbert.model_folder.weights_digest import weights_sha256
from kbert.options import option_error, with_options
from kbert.prediction.loading import predictor_of
from kbert.prediction.options import EngineOptions
from kbert.prediction.predictor import Predictor
from kbert.retrieval.options import DTYPES, BuildIndexOptions
from kbert.sources.bad_rows import BadRows
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.factories import task_from_bundle
from kbert.tasks.metrics.vectors import of_length_1
from kbert.tasks.readers.retrieval_collections import Document, find_document_columns, read_documents

_LOG = logging.getLogger("kbert")

SETTINGS_FILE = "index.json"
VECTORS_FILE = "vectors.npy"
TEXTS_FILE = "texts.jsonl"
OFFSETS_FILE = "offsets.npy"
ANN_FILE = "ann.faiss"

_EMBEDDED_AT_ONCE = 1024
_COMPARED_AT_ONCE = 65_536
_SCORES_AT_ONCE = 1 << 24
"""The maximum number of scores that are computed together, for all queries."""
_QUERY_PROMPTS = ("query",)
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""The names of the prompts for queries and for documents in sentence-transformers."""
_NEIGHBOURS = 32
_CANDIDATES = 128
"""The number of links of each node of the HNSW graph, and the number of candidates that a search keeps."""


@with_options(BuildIndexOptions)
def build_index(
    model: PathLike,
    *,
    options: BuildIndexOptions,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Builds an index of documents.

    Args:
        model: A model folder of the task embedding or of sentence-transformers, any encoder if `pooling` is given, or
            "hf://owner/name". A search needs this model too.
        options: All of these options in one object.
        progress: Called with the number of documents that are done, and the number of all.

    Returns:
        The number of documents.

    Raises:
        UsageError: The model is for another task, `output` exists, an option is invalid, or faiss is not installed.
        DataError: The input is damaged; the message names file and line.

    Example:
        >>> from pathlib import Path
        >>> Path("documents").mkdir()
        >>> _ = Path("documents/cat.txt").write_text("the cat")
        >>> _ = Path("documents/dog.txt").write_text("a dog ran")
        >>> kbert.build_index("pretrained", input="documents", output="index", pooling="mean")
        2
    """
    output = options.output
    if Path(output).exists():
        raise option_error(
            lambda spell: (
                f"{spell('output')} must be a new folder. Received: {output}, which exists; remove it, or name another"
            )
        )
    faiss = _faiss() if options.ann else None
    model = resolve(model)
    predictor = load_embedder(model, pooling=options.pooling, engine=options.narrowed(EngineOptions))
    task = _task_of(predictor)
    similarity = _similarity(task, options.similarity)
    query_prompt = _prompt(task, options.query_prompt, options.query_prompt_name, _QUERY_PROMPTS)
    prompt = _prompt(task, options.prompt, options.prompt_name, _DOCUMENT_PROMPTS)
    predictor = predictor.with_task(task.with_prompt(prompt))
    # The collection is read twice, since it may not fit in memory.
    columns = find_document_columns(options.input, options.id_column, options.text_column)
    total = sum(1 for _ in read_documents(options.input, columns=columns, bad=BadRows(options.skip_bad)))
    width = predictor.config.hidden_size
    with files.atomic_directory(output) as folder:
        vectors = np.lib.format.open_memmap(folder / VECTORS_FILE, "w+", np.dtype(options.dtype), (total, width))
        offsets = np.zeros(total, np.int64)
        done = 0
        with open(folder / TEXTS_FILE, "wb") as handle:
            bad = BadRows(options.skip_bad)
            for documents in _parts(read_documents(options.input, columns=columns, bad=bad), _EMBEDDED_AT_ONCE):
                texts = [document.text for document in documents]
                found = predictor.answers(texts, batch_size=options.batch_size)["vector"]
                vectors[done : done + len(documents)] = of_length_1(found) if similarity == "cosine" else found
                for document in documents:
                    offsets[done] = handle.tell()
                    line = json.dumps({"id": document.id, "text": document.text}, ensure_ascii=False)
                    handle.write(line.encode("utf-8", "replace") + b"\n")
                    done += 1
                if progress:
                    progress(done, total)
        vectors.flush()
        if bad.count:
            _LOG.warning("%s: %s", options.input, bad.summary)
        if faiss:
            graph = faiss.IndexHNSWFlat(width, _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
            for start in range(0, total, _COMPARED_AT_ONCE):
                graph.add(np.asarray(vectors[start : start + _COMPARED_AT_ONCE], np.float32))
            faiss.write_index(graph, str(folder / ANN_FILE))
        del vectors
        np.save(folder / OFFSETS_FILE, offsets)
        settings = {
            "model": str(Path(model).resolve()),
            "model_sha256": weights_sha256(model),
            "documents": total,
            "width": width,
            "dtype": options.dtype,
            "pooling": predictor.model.pooling,
            "prompt": prompt,
            "query_prompt": query_prompt,
            "similarity": similarity,
        }
        files.write_json(folder / SETTINGS_FILE, settings)
    return total


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
            query_prompt = _prompt(_task_of(predictor), prompt, prompt_name, ())
        self.predictor = predictor.with_task(_task_of(predictor).with_prompt(query_prompt))
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
        size = max(1, min(_COMPARED_AT_ONCE, _SCORES_AT_ONCE // max(1, len(queries))))
        for start in range(0, len(self), size):
            part = np.asarray(self.vectors[start : start + size], np.float32)
            numbers = np.broadcast_to(np.arange(start, start + len(part)), (len(queries), len(part)))
            scores = np.concatenate([scores, queries @ part.T], 1)
            places = np.concatenate([places, numbers], 1)
            order = _best(scores, top)
            scores, places = np.take_along_axis(scores, order, 1), np.take_along_axis(places, order, 1)
        return scores, places

    def _nearest_in_graph(self, queries: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
        faiss = _faiss()
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


def load_embedder(model: PathLike, *, pooling: str | None = None, engine: EngineOptions | None = None) -> Predictor:
    """Loads a model that gives vectors, without a prompt.

    Args:
        model: The model folder.
        pooling: How the vector of a text is computed from those of its tokens, if the files of the model do not define
            it.
        engine: How the encoder is computed; the default is TensorFlow.

    Raises:
        UsageError: The model is for another task.
    """
    bundle = Bundle.load(resolve(model))
    task = task_from_bundle(bundle, model, pooling=pooling)
    if not isinstance(task, EmbeddingTask):
        raise UsageError(
            "expected a model of `kbert finetune embedding` or of sentence-transformers, or an encoder with --pooling. "
            f"Received: {model}, which is for {task.name}"
        )
    return predictor_of(bundle, task.with_prompt(""), model, engine)


def _task_of(predictor: Predictor) -> EmbeddingTask:
    """Returns the task of a model that `load_embedder` loaded."""
    assert isinstance(predictor.task, EmbeddingTask)
    return predictor.task


def _similarity(task: EmbeddingTask, wanted: str | None) -> str:
    similarity: str = wanted or task.similarity
    if similarity not in SIMILARITIES:
        which = "similarity" if wanted else "the similarity of the model (--similarity overrules it)"
        raise UsageError(f"{which} must be one of {', '.join(SIMILARITIES)}. Received: similarity={shown(similarity)}")
    return similarity


def _prompt(task: EmbeddingTask, prompt: str | None, name: str | None, names: Sequence[str]) -> str:
    """Returns the given prompt, the prompt of the given name, or the first prompt of `names` that the model has."""
    if prompt is not None and name is not None:
        raise UsageError("expected a prompt, or the name of a prompt of the model. Received: both; leave one out")
    if name is not None:
        return task.named_prompt(name)
    if prompt is not None:
        return prompt
    return next((task.prompts[each] for each in names if task.prompts.get(each)), "")


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


def _parts(documents: Iterator[Document], size: int) -> Iterator[list[Document]]:
    while part := list(itertools.islice(documents, size)):
        yield part


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise UsageError("approximate search needs faiss: pip install 'kbert[ann]'") from None
    return faiss

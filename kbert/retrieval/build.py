"""Builds an index of documents."""

from __future__ import annotations

import functools
import itertools
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kbert import files
from kbert.errors import UsageError, shown
from kbert.files import PathLike
from kbert.model_folder.hub import resolve
from kbert.model_folder.sentence_transformers import SIMILARITIES
from kbert.model_folder.weights_digest import weights_sha256
from kbert.options import option_error, with_options
from kbert.prediction.options import EngineOptions
from kbert.prediction.predictor import Predictor
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
from kbert.retrieval.options import BuildIndexOptions
from kbert.sources.bad_rows import BadRows
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.metrics.vectors import of_length_1
from kbert.tasks.readers.retrieval_collections import Document, find_document_columns, read_documents

_LOG = logging.getLogger("kbert")

_EMBEDDED_AT_ONCE = 1024
_QUERY_PROMPTS = ("query",)
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""The names of the prompts for queries and for documents in sentence-transformers."""
_NEIGHBOURS = 32
"""The number of links of each node of the HNSW graph."""


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
    if options.ann:
        import_faiss()  # raises before the documents are embedded
    model = resolve(model)
    predictor = load_embedder(model, pooling=options.pooling, engine=options.narrowed(EngineOptions))
    task = task_of(predictor)
    similarity = _similarity(task, options.similarity)
    query_prompt = chosen_prompt(task, options.query_prompt, options.query_prompt_name, _QUERY_PROMPTS)
    prompt = chosen_prompt(task, options.prompt, options.prompt_name, _DOCUMENT_PROMPTS)
    predictor = predictor.with_task(task.with_prompt(prompt))
    # The collection is read twice, since it may not fit in memory.
    form = options.table_format
    columns = find_document_columns(options.input, options.id_column, options.text_column, form)
    total = sum(1 for _ in read_documents(options.input, columns=columns, form=form, bad=BadRows(options.skip_bad)))
    width = predictor.config.hidden_size
    with files.atomic_directory(output) as folder:
        vectors = np.lib.format.open_memmap(folder / VECTORS_FILE, "w+", np.dtype(options.dtype), (total, width))
        bad = BadRows(options.skip_bad)
        documents = read_documents(options.input, columns=columns, form=form, bad=bad)
        embed = functools.partial(_embed, predictor, batch_size=options.batch_size, similarity=similarity)
        _write_documents(folder, documents, embed, vectors, progress)
        if bad.count:
            _LOG.warning("%s: %s", options.input, bad.summary)
        if options.ann:
            _write_graph(folder, vectors)
        del vectors
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


def _embed(predictor: Predictor, texts: list[str], *, batch_size: int, similarity: str) -> np.ndarray:
    """Returns the vectors of texts; if cosines are compared, their length is 1."""
    found: np.ndarray = predictor.answers(texts, batch_size=batch_size)["vector"]
    return of_length_1(found) if similarity == "cosine" else found


def _write_documents(
    folder: Path,
    documents: Iterator[Document],
    embed: Callable[[list[str]], np.ndarray],
    vectors: np.ndarray,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Writes the texts of the documents, their offsets, and their vectors into the memory-mapped array."""
    total, done = len(vectors), 0
    offsets = np.zeros(total, np.int64)
    with open(folder / TEXTS_FILE, "wb") as handle:
        while part := list(itertools.islice(documents, _EMBEDDED_AT_ONCE)):
            vectors[done : done + len(part)] = embed([document.text for document in part])
            for document in part:
                offsets[done] = handle.tell()
                line = json.dumps({"id": document.id, "text": document.text}, ensure_ascii=False)
                handle.write(line.encode("utf-8", "replace") + b"\n")
                done += 1
            if progress:
                progress(done, total)
    np.save(folder / OFFSETS_FILE, offsets)
    vectors.flush()  # type: ignore[attr-defined]


def _write_graph(folder: Path, vectors: np.ndarray) -> None:
    """Writes the graph of neighbours."""
    faiss = import_faiss()
    graph = faiss.IndexHNSWFlat(vectors.shape[1], _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    for start in range(0, len(vectors), COMPARED_AT_ONCE):
        graph.add(np.asarray(vectors[start : start + COMPARED_AT_ONCE], np.float32))
    faiss.write_index(graph, str(folder / ANN_FILE))


def _similarity(task: EmbeddingTask, wanted: str | None) -> str:
    similarity: str = wanted or task.similarity
    if similarity not in SIMILARITIES:
        which = "similarity" if wanted else "the similarity of the model (--similarity overrules it)"
        raise UsageError(f"{which} must be one of {', '.join(SIMILARITIES)}. Received: similarity={shown(similarity)}")
    return similarity

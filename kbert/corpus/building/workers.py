"""Builds chunks in several processes, and returns their results in the order of the text."""

from __future__ import annotations

import concurrent.futures
import ctypes
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

from kbert.corpus.building.chunks import BuildSettings, Chunk, ChunkBuilder
from kbert.errors import KbertError
from kbert.runtime.interrupts import ignore_interrupts
from kbert.sources.document import Document
from kbert.text.vocabulary import Vocabulary


def build_chunks(
    chunks: Iterable[tuple[int, list[Document]]],
    vocabulary: Vocabulary,
    settings: BuildSettings,
    words: Sequence[str],
    workers: int,
) -> Generator[Chunk, None, None]:
    """Builds numbered chunks, and yields the results in the order of the text.

    Args:
        chunks: The chunks, each as (number, documents).
        vocabulary: The vocabulary to tokenize with.
        settings: All settings that the records depend on.
        words: The word list for whole-word masking.
        workers: The number of processes; 1 builds in this process.

    Raises:
        KbertError: A process was killed.
    """
    if workers == 1:
        builder = ChunkBuilder(vocabulary, settings, words)
        for index, documents in chunks:
            yield builder(index, documents)
        return
    # "spawn" rather than "fork", since threads of the caller (such as TensorFlow's) do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=(vocabulary, settings, words)
    )
    pending: deque[concurrent.futures.Future[Chunk]] = deque()
    try:
        for index, documents in chunks:
            pending.append(pool.submit(_work, index, documents))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool:
        raise KbertError(
            "a worker process was killed, perhaps because memory ran out; continue with --resume and fewer --workers"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker_builder: ChunkBuilder | None = None
"""The builder of a worker process, created once, so that its cache of words is kept between chunks."""


_TRIM_EVERY = 4
"""The number of chunks between calls of malloc_trim: few enough to bound memory, enough to cost no measurable time."""
_trim_heap = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None


def _start_worker(vocabulary: Vocabulary, settings: BuildSettings, words: Sequence[str]) -> None:
    global _worker_builder
    ignore_interrupts()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker_builder = ChunkBuilder(vocabulary, settings, words)


def _end_with_parent() -> None:
    """Ends this process when its parent ends, since a killed parent leaves its workers waiting for work forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(index: int, documents: list[Document]) -> Chunk:
    assert _worker_builder is not None
    chunk = _worker_builder(index, documents)
    if _trim_heap is not None and index % _TRIM_EVERY == 0:
        # glibc keeps freed memory in small fragments: without this, a worker's memory grows by a seventh of the text.
        _trim_heap(0)
    return chunk

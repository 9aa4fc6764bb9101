"""Chunks built in several processes, their results in the order of the text."""

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
    """Builds numbered chunks in `workers` processes (one: in this process); gives results in the order of the text.

    Raises:
        KbertError: A process was killed.
    """
    if workers == 1:
        builder = ChunkBuilder(vocabulary, settings, words)
        for index, documents in chunks:
            yield builder(index, documents)
        return
    # Not fork: the caller may have threads (TensorFlow's), which a forked process would lack.
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
            "a worker process was killed, perhaps for want of memory; go on with --resume and fewer --workers"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker_builder: ChunkBuilder | None = None
"""Of a worker process: made once, so that its words last."""


_TRIM_EVERY = 4
"""Chunks: often enough to keep memory flat, rare enough to cost no time."""
_trim_heap = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None


def _start_worker(vocabulary: Vocabulary, settings: BuildSettings, words: Sequence[str]) -> None:
    global _worker_builder
    ignore_interrupts()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker_builder = ChunkBuilder(vocabulary, settings, words)


def _end_with_parent() -> None:
    """A parent that was killed cannot stop its workers, which would wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(index: int, documents: list[Document]) -> Chunk:
    assert _worker_builder is not None
    chunk = _worker_builder(index, documents)
    if _trim_heap is not None and index % _TRIM_EVERY == 0:
        # glibc keeps what was freed, in ever smaller pieces: a worker would grow with the text by a seventh.
        _trim_heap(0)
    return chunk

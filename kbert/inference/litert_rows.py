"""An encoder that LiteRT runs on the processors of this machine.

A batch is computed in rows of about 128 tokens without padding. A row holds one or several texts. The rows are
distributed to all cores. Each core has its own interpreter, since two small matrix products on one core each are faster
than one after the other on both. If there is only one row, all cores compute it together.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from kbert.errors import UsageError
from kbert.inference.litert_model import interpreter

ROW_TOKENS = 128
"""The maximum number of tokens of a row with several texts. In longer rows, more time is spent on attention between
different texts, which is computed and then masked. In shorter rows, matrix products are less efficient."""

INPUTS = ("ids", "types", "positions", "texts")
"""Token ids, segment ids, the position of each token in its text, and the number of that text in the row."""
FIRSTS = "firsts"
"""A further input of a model that computes only the first token of each text: the places of these tokens in the row."""


class LiteRtRows:
    """A LiteRT model that computes the vectors of tokens in rows.

    Args:
        content: The content of the .tflite file; its inputs are those of INPUTS, and perhaps FIRSTS. Its output is
            `vectors`, float32 [T, H], or with FIRSTS float32 [W, H].
        threads: The number of rows that are computed at the same time; the default is the number of processor cores.

    Raises:
        UsageError: `threads` is less than 1.
        ValueError: The content is not a LiteRT model.
    """

    def __init__(self, content: bytes, *, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be at least 1. Received: threads={threads}")
        self.threads = threads or os.cpu_count() or 1
        self._content = content
        first = _RowInterpreter(content, 1)
        self._firsts_only = first.firsts_only
        self.width = first.width
        """The number of values of a vector, H."""
        self._idle: SimpleQueue[_RowInterpreter] = SimpleQueue()
        self._idle.put(first)
        self._alone: SimpleQueue[_RowInterpreter] = SimpleQueue()
        self._lock = threading.Lock()
        self._calls = 0
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="kbert-litert")

    def __call__(self, input_word_ids: Any, input_mask: Any, input_type_ids: Any) -> np.ndarray:
        """Computes the vectors of all tokens; several threads may call it at the same time.

        Args:
            input_word_ids: Token ids, int32 [B, S].
            input_mask: 1 for tokens and 0 for padding, int32 [B, S].
            input_type_ids: Segment ids, int32 [B, S].

        Returns:
            The outputs of the last block, float32 [B, S, H], with zeros for padding. If the model computes only the
            first token of each text, float32 [B, 1, H].
        """
        ids, mask, types = (np.asarray(value, np.int32) for value in (input_word_ids, input_mask, input_type_ids))
        outputs = np.zeros((len(ids), 1 if self._firsts_only else ids.shape[1], self.width), np.float32)

        def run(texts: slice) -> None:
            numbers, positions = np.nonzero(mask[texts])
            if not len(numbers):
                return
            places = (numbers + texts.start, positions)
            row = [ids[places], types[places], positions, numbers]
            if self._firsts_only:
                firsts = np.flatnonzero(positions == 0)
                if len(firsts):
                    outputs[places[0][firsts], 0] = self._run_row(*row, firsts, alone=alone)
            else:
                outputs[places] = self._run_row(*row, alone=alone)

        rows = list(_rows(mask.sum(-1)))
        with self._lock:
            self._calls += 1
            # All cores compute a row together only if no other call needs them.
            alone = len(rows) == self._calls == 1
        try:
            if alone:
                run(rows[0])
            else:
                list(self._pool.map(run, rows))
        finally:
            with self._lock:
                self._calls -= 1
        return outputs

    def prepare(self) -> None:
        """Creates the interpreters of all threads, so that no later call waits for one; each takes some 0.1 seconds."""
        while self._idle.qsize() < self.threads:
            self._idle.put(_RowInterpreter(self._content, 1))
        if self._alone.empty():
            self._alone.put(_RowInterpreter(self._content, self.threads))

    def close(self) -> None:
        """Ends the threads. No call may follow."""
        self._pool.shutdown()

    def _run_row(self, *values: np.ndarray, alone: bool) -> np.ndarray:
        idle = self._alone if alone else self._idle
        try:
            row = idle.get_nowait()
        except Empty:
            row = _RowInterpreter(self._content, self.threads if alone else 1)
        vectors = row(*values)
        idle.put(row)
        return vectors


class _RowInterpreter:
    """An interpreter that computes one row at a time.

    Args:
        content: The model that `_convert` returned.
        threads: The number of threads that compute the row together.
    """

    def __init__(self, content: bytes, threads: int) -> None:
        self._interpreter = interpreter(content, threads)
        signature = self._interpreter._get_full_signature_list()["serving_default"]
        self.firsts_only = FIRSTS in signature["inputs"]
        names = (*INPUTS, FIRSTS) if self.firsts_only else INPUTS
        self._inputs = [signature["inputs"][name] for name in names]
        self._output = signature["outputs"]["vectors"]
        self._sizes: list[int] = []
        outputs = {each["index"]: each for each in self._interpreter.get_output_details()}
        self.width = int(outputs[self._output]["shape"][-1])

    def __call__(self, *values: np.ndarray) -> np.ndarray:
        """Returns the vectors of the tokens of a row.

        Args:
            values: int32 [T] for each of INPUTS, and perhaps int32 [W] for FIRSTS.

        Returns:
            float32 [T, H], or with FIRSTS float32 [W, H].
        """
        sizes = [len(value) for value in values]
        if sizes != self._sizes:
            for index, size in zip(self._inputs, sizes, strict=True):
                self._interpreter.resize_tensor_input(index, [size])
            self._interpreter.allocate_tensors()
            self._sizes = sizes
        for index, value in zip(self._inputs, values, strict=True):
            self._interpreter.set_tensor(index, value.astype(np.int32))
        self._interpreter.invoke()
        vectors: np.ndarray = self._interpreter.get_tensor(self._output)
        return vectors


def _rows(lengths: np.ndarray) -> Iterator[slice]:
    """Yields the texts of each row, given the numbers of their tokens: as many as fit, in order, but at least one."""
    start, total = 0, 0
    for index, length in enumerate(lengths):
        if index > start and total + length > ROW_TOKENS:
            yield slice(start, index)
            start, total = index, 0
        total += length
    yield slice(start, len(lengths))

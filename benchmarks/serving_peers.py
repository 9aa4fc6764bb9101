"""Serves a classifier with transformers or ONNX Runtime, as their users would write it with starlette and uvicorn.

    python benchmarks/serving_peers.py transformers FOLDER --port 8080

One thread computes. While it computes a batch, requests wait in a queue of asyncio; the next batch holds those that
came meanwhile, up to 32 texts, and is padded to its longest text. serving.py starts this program.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import inference
import numpy as np
import uvicorn
from serving_contestants import HOST, MODEL
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

LABELS = ("0", "1")


class Batches:
    """Answers requests together that arrive while another batch is computed.

    Args:
        answer: Computes the probabilities of a batch of texts.
        executor: The thread that computes.
    """

    def __init__(self, answer: inference.Answers, executor: concurrent.futures.Executor) -> None:
        self._answer = answer
        self._executor = executor
        self._queue: asyncio.Queue[tuple[list[str], asyncio.Future[np.ndarray]]] = asyncio.Queue()

    async def answer(self, texts: list[str]) -> np.ndarray:
        """Returns the probabilities for the texts of one request, float32 [texts, 2]."""
        future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((texts, future))
        return await future

    async def run(self) -> None:
        """Computes batches until it is cancelled."""
        loop = asyncio.get_running_loop()
        following = None
        while True:
            batch = [following or await self._queue.get()]
            following, size = None, len(batch[0][0])
            while following is None and not self._queue.empty():
                request = self._queue.get_nowait()
                if size + len(request[0]) <= inference.BATCH_SIZE:
                    batch.append(request)
                    size += len(request[0])
                else:
                    following = request  # it is the first one of the next batch
            texts = [text for request_texts, _ in batch for text in request_texts]
            try:
                rows = await loop.run_in_executor(self._executor, self._answer, texts)
            except Exception as problem:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(problem)
                continue
            start = 0
            for request_texts, future in batch:
                if not future.done():
                    future.set_result(rows[start : start + len(request_texts)])
                start += len(request_texts)


def create_app(name: str, folder: Path) -> Starlette:
    """Returns the application.

    Args:
        name: The contestant of inference.py that computes.
        folder: The folder with its model.
    """
    running: dict[str, Batches] = {}

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            # The model is loaded by the thread that computes, because settings of torch belong to a thread.
            answer = await asyncio.get_running_loop().run_in_executor(executor, inference.CONTESTANTS[name][1], folder)
            running["batches"] = Batches(answer, executor)
            task = asyncio.create_task(running["batches"].run())
            yield
            task.cancel()

    async def predict(request: Request) -> JSONResponse:
        texts = (await request.json())["instances"]
        rows = await running["batches"].answer(texts)
        best = rows.argmax(-1)
        answers: list[dict[str, Any]] = [
            {"label": LABELS[place], "probabilities": row.tolist()} for place, row in zip(best, rows, strict=True)
        ]
        return JSONResponse({"predictions": answers})

    async def ready(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ready"})

    routes = [Route(f"/v1/models/{MODEL}:predict", predict, methods=["POST"]), Route("/health/ready", ready)]
    return Starlette(routes=routes, lifespan=lifespan)


def main() -> None:
    """Serves a contestant until the process is stopped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=inference.PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    app = create_app(options.name, options.folder)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()

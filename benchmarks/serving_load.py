"""Sends requests to a server and measures its answers: a closed loop of clients, each with a connection of its own.

serving.py starts this program for each contestant, and lets them take turns (turns.py). It sends bytes that were
prepared before and reads little of the answers, so that it leaves most of the processor to the server.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, cast

import psutil

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PREDICT = "/tensorflow.serving.PredictionService/Predict"


class Connection(Protocol):
    """A connection to a server; one request at a time."""

    async def send(self, request: bytes) -> bytes:
        """Sends a request and returns the body of its answer."""

    async def end(self) -> None:
        """Closes the connection."""


class RestConnection(asyncio.Protocol):
    """A connection of HTTP/1.1 that stays open."""

    def __init__(self) -> None:
        self._received = b""
        self._body_start = self._end = 0
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    async def send(self, request: bytes) -> bytes:
        """Sends a request of HTTP and returns the body of its answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    async def end(self) -> None:
        """Closes the connection."""
        assert self._transport is not None
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast(asyncio.Transport, transport)  # those of uvloop are not of this class

    def data_received(self, data: bytes) -> None:
        """Completes the answer when all of its bytes are there."""
        self._received += data
        if not self._end:
            self._body_start = self._received.find(b"\r\n\r\n") + 4
            if self._body_start < 4:
                return
            match = _CONTENT_LENGTH.search(self._received, 0, self._body_start)
            self._end = self._body_start + int(match[1]) if match else self._body_start
        if len(self._received) < self._end:
            return
        status, body = self._received[9:12], self._received[self._body_start : self._end]
        self._received, self._end = b"", 0
        if self._answer is None or self._answer.done():
            return
        if status == b"200":
            self._answer.set_result(body)
        else:
            self._answer.set_exception(ConnectionError(f"expected status 200. Received: {status!r} {body[:200]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the answer that is awaited."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))


class GrpcConnection:
    """A channel of gRPC."""

    def __init__(self, address: str) -> None:
        import grpc.aio

        # Without this option, all channels of the process share one connection.
        self._channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._call = self._channel.unary_unary(_PREDICT)

    async def open(self) -> None:
        """Connects to the server."""
        await self._channel.channel_ready()

    async def send(self, request: bytes) -> bytes:
        """Sends a serialized PredictRequest and returns the serialized PredictResponse."""
        answer: bytes = await self._call(request)
        return answer

    async def end(self) -> None:
        """Closes the channel."""
        await self._channel.close()


async def connect(api: str, host: str, port: int) -> Connection:
    """Opens a connection.

    Args:
        api: "rest" or "grpc".
        host: The host of the server.
        port: Its port.
    """
    if api == "rest":
        return (await asyncio.get_running_loop().create_connection(RestConnection, host, port))[1]
    connection = GrpcConnection(f"{host}:{port}")
    await connection.open()
    return connection


async def all_answers(connections: Sequence[Connection], requests: Sequence[bytes]) -> list[bytes]:
    """Sends each request once, from all clients at the same time, and returns the answers in the order of requests."""
    answers = [b""] * len(requests)
    numbers = iter(range(len(requests)))

    async def ask(connection: Connection) -> None:
        for number in numbers:  # shared by all clients
            answers[number] = await connection.send(requests[number])

    await asyncio.gather(*map(ask, connections))
    return answers


async def measure(
    connections: Sequence[Connection], requests: Iterator[bytes], seconds: float, server: psutil.Process
) -> dict[str, float]:
    """Lets all clients send requests for some seconds, and returns what was measured after a tenth of that time.

    Args:
        connections: The clients.
        requests: Unlimited requests.
        seconds: The seconds that are measured.
        server: The process of the server.
    """
    times: list[float] = []
    running = True

    async def ask(connection: Connection) -> None:
        while running:
            began = time.perf_counter()
            await connection.send(next(requests))
            times.append(time.perf_counter() - began)

    tasks = asyncio.gather(*map(ask, connections))
    await _sleep(seconds / 10, tasks)
    times.clear()
    began, cpu, own_cpu = time.perf_counter(), cpu_seconds(server), time.process_time()
    await _sleep(seconds, tasks)
    while not times:  # the first answer takes longer than the round
        await _sleep(0.1, tasks)
    passed, cpu, own_cpu = time.perf_counter() - began, cpu_seconds(server) - cpu, time.process_time() - own_cpu
    measured = sorted(times)
    running = False
    await tasks
    return {
        "requests": len(measured),
        "requests_per_second": len(measured) / passed,
        "p50_ms": 1e3 * percentile(measured, 50),
        "p99_ms": 1e3 * percentile(measured, 99),
        "cpu_ms": 1e3 * cpu / len(measured),
        "load_cpu_ms": 1e3 * own_cpu / len(measured),
    }


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Returns the smallest of the values that is not exceeded by so many percent of them."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def cpu_seconds(process: psutil.Process) -> float:
    """Returns the seconds of processor time of a process and those that it started."""
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


async def _sleep(seconds: float, tasks: asyncio.Future[list[None]]) -> None:
    """Sleeps, unless a request fails."""
    done, _ = await asyncio.wait([tasks], timeout=seconds)
    if done:
        tasks.result()


def write_messages(path: Path, messages: Sequence[bytes]) -> None:
    """Writes messages to a file."""
    path.write_text(json.dumps([message.decode("latin-1") for message in messages]))


def read_messages(path: Path) -> list[bytes]:
    """Reads a file of `write_messages`."""
    return [message.encode("latin-1") for message in json.loads(path.read_text())]


def main() -> None:
    """Writes the answers to all requests, and then runs rounds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--api", choices=["rest", "grpc"], required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the process of the server")
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--requests", type=Path, required=True, help="a file of prepared requests")
    parser.add_argument("--answers", type=Path, required=True, help="the file for the answers to all requests")
    options = parser.parse_args()
    requests = read_messages(options.requests)
    server = psutil.Process(options.pid)

    async def connections() -> list[Connection]:
        return [await connect(options.api, options.host, options.port) for _ in range(options.clients)]

    async def check() -> None:
        clients = await connections()
        write_messages(options.answers, await all_answers(clients, requests))
        for client in clients:
            await client.end()

    async def round_() -> dict[str, float]:
        # Servers close connections on which nothing happens while others have their turn.
        clients = await connections()
        outcome = await measure(clients, itertools.cycle(requests), options.seconds, server)
        for client in clients:
            await client.end()
        return outcome

    loop = new_event_loop()
    loop.run_until_complete(check())
    print(json.dumps({"ready": 1}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(loop.run_until_complete(round_())), flush=True)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Returns an event loop, of uvloop if it is installed: it needs less of the processor."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


if __name__ == "__main__":
    main()

"""The first request after a start and after a reload, beside the median: servers whose first calls are slow show it.

    python benchmarks/serving_first_request.py --rounds 5 --json first.json

A round starts each contestant of serving.py, waits until the server reports that it is ready, and sends one request
after the other on a connection that is open. The first request is compared with the median of the following ones. All
have one text of SST-2. The text of the first request has the median length of all texts; it is sent again several
times, and the column `same text` compares it with the median of these.

Then version 2 of the model, a copy of version 1, is moved into the folder of `kbert serve` while requests go on. The
state of the version is read before each request, so that the first one that version 2 answers is known. The column
`slowest` is the slowest request while version 2 was loaded. The other contestants cannot reload.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import serving_contestants as contestants
import serving_load

GOAL = 1.5
"""The goal for the first request divided by the median."""
REPEATS = 20
_SECONDS_TO_LOAD = 120


async def measure(server: contestants.Server, texts: Sequence[str], versions: Path | None) -> dict[str, dict[str, Any]]:
    """Returns the times after the start, and after a reload if the server has a folder of versions."""
    first = sorted(texts, key=len)[len(texts) // 2]
    first_request, *requests = contestants.requests(server.api, [[text] for text in (first, *texts)])
    connection = await serving_load.connect(server.api, contestants.HOST, server.port)
    outcomes = {"start": await _times(connection, first_request, requests)}
    if versions is not None:
        new = versions.with_name("version-2")
        shutil.copytree(versions / "1", new)
        states = await serving_load.connect("rest", contestants.HOST, server.rest_port)
        deadline = time.monotonic() + _SECONDS_TO_LOAD
        slowest = 0.0
        new.rename(versions / "2")
        for number in range(10**9):
            if await _is_available(states, 2):
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"{server.name}: expected that version 2 is available within {_SECONDS_TO_LOAD} s")
            slowest = max(slowest, await _time(connection, requests[number % len(requests)]))
        outcomes["reload"] = {**await _times(connection, first_request, requests), "slowest_ms": 1e3 * slowest}
        await states.end()
    await connection.end()
    return outcomes


async def _times(
    connection: serving_load.Connection, first_request: bytes, requests: Sequence[bytes]
) -> dict[str, float]:
    first = await _time(connection, first_request)
    others = [await _time(connection, request) for request in requests]
    same = [await _time(connection, first_request) for _ in range(REPEATS)]
    return {
        "first_ms": 1e3 * first,
        "median_ms": 1e3 * statistics.median(others),
        "first_by_median": first / statistics.median(others),
        "first_by_same_text": first / statistics.median(same),
    }


async def _time(connection: serving_load.Connection, request: bytes) -> float:
    began = time.perf_counter()
    await connection.send(request)
    return time.perf_counter() - began


async def _is_available(connection: serving_load.Connection, version: int) -> bool:
    request = f"GET /v1/models/{contestants.MODEL} HTTP/1.1\r\nHost: {contestants.HOST}\r\n\r\n"
    statuses = json.loads(await connection.send(request.encode()))["model_version_status"]
    return any(each["version"] == str(version) and each["state"] == "AVAILABLE" for each in statuses)


def run_round(name: str, prepared: Path, texts: Sequence[str]) -> dict[str, dict[str, Any]] | None:
    """Starts a contestant and measures it; returns None if it does not start."""
    source = contestants.CONTESTANTS[name].saved_models
    with tempfile.TemporaryDirectory() as folder:
        versions = Path(folder) / contestants.MODEL if source else None
        if versions is not None:
            shutil.copytree(prepared / source / "1", versions / "1")
        server = contestants.start(name, prepared, versions)
        if server is None:
            return None
        try:
            return serving_load.new_event_loop().run_until_complete(measure(server, texts, versions))
        finally:
            server.stop()


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Prints the table, with the worst of the ratios of all rounds."""
    print(f"\n{'':18} {'after':7} {'first, ms':>10} {'median, ms':>11} {'first / median':>15} {'worst':>6} "
          f"{'same text':>10} {'slowest, ms':>12}")  # fmt: skip
    for row in rows:
        values = {key: statistics.median(outcome[key] for outcome in row["rounds"]) for key in row["rounds"][0]}
        worst = max(outcome["first_by_median"] for outcome in row["rounds"])
        slowest = f"{values['slowest_ms']:12,.1f}" if "slowest_ms" in values else ""
        print(
            f"{row['contestant']:18} {row['after']:7} {values['first_ms']:10,.1f} {values['median_ms']:11,.1f} "
            f"{values['first_by_median']:15.2f} {worst:6.2f} {values['first_by_same_text']:10.2f} {slowest}"
        )
    print(f"medians of {len(rows[0]['rounds'])} rounds; the goal is at most {GOAL} × the median")


def main() -> None:
    """Runs all rounds, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    contestants.add_options(parser)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=100, help="the number of requests of which the median is taken")
    parser.add_argument("--json", type=Path, help="the file of results")
    options = parser.parse_args()
    options.only = contestants.leave_out_missing(options.only)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end with this program
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        prepared = options.prepared or Path(folder)
        contestants.prepare(prepared, options)
        texts = contestants.read_texts(prepared)[: options.requests]
        for _ in range(options.rounds):
            for name in options.only:
                for after, outcome in (run_round(name, prepared, texts) or {}).items():
                    found.setdefault((name, after), []).append(outcome)
    rows = [{"contestant": name, "after": after, "rounds": rounds} for (name, after), rounds in found.items()]
    if options.json:
        options.json.write_text(json.dumps({"load": os.getloadavg()[0], "rows": rows}, indent=2) + "\n")
    if rows:
        show(rows)


if __name__ == "__main__":
    main()

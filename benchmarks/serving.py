"""Servers of a classifier under load: requests per second, and how long a request takes.

    python benchmarks/serving.py --rounds 5 --seconds 10 --json serving.json

All contestants serve the same weights for texts of SST-2 with their real lengths, tokenizing included:

    kbert-rest, -grpc                   `kbert serve` with the SavedModel of `kbert export saved-model`
    kbert-rest-litert, -grpc-litert     `kbert serve` with that of `kbert export saved-model --litert-encoder none`
    kbert-rest-int8, -grpc-int8         `kbert serve` with that of `kbert export saved-model --litert-encoder dynamic`
    transformers                        starlette, the fast tokenizer and BertForSequenceClassification
    onnxruntime, -int8                  starlette, the fast tokenizer and ONNX Runtime, in float32 and with dynamic
                                        quantization

The last three form batches of up to 32 texts from the requests that arrive while another batch is computed
(serving_peers.py). REST requests and answers have the form of TensorFlow Serving's API.

Each server has its own process with all cores. The clients are in one further process (serving_load.py): each sends its
next request when it has the answer to the last one. A request has one text, or 32 texts in the cells of --bulk-clients.
The contestants take turns; medians of the rounds are compared. The column `cpu` is the processor time of the server for
one request, and `load cpu` that of the clients, which share the processor with the server.

Before the rounds of a cell its clients ask for all texts once. The column `difference` shows the largest difference of
a probability from the answers of `transformers`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import inference
import numpy as np
import serving_contestants as contestants
import serving_load
import turns

MEASURED = ("requests_per_second", "p50_ms", "p99_ms", "cpu_ms", "load_cpu_ms")
_FLOAT32 = ("kbert-rest", "kbert-grpc", "kbert-rest-litert", "kbert-grpc-litert")
GOALS = (
    *((name, "transformers", 2.0) for name in _FLOAT32),
    *((name, "onnxruntime", 1.3) for name in _FLOAT32),
    ("kbert-rest-int8", "onnxruntime-int8", 1.3),
    ("kbert-grpc-int8", "onnxruntime-int8", 1.3),
)
"""A contestant, its peer, and the wanted ratio of their requests per second, at equal or better p99."""


def run_cell(
    servers: Sequence[contestants.Server],
    batches: Sequence[Sequence[str]],
    clients: int,
    options: argparse.Namespace,
    folder: Path,
) -> dict[str, Any]:
    """Lets all servers take turns with a number of clients, and returns the results.

    Args:
        servers: The running servers.
        batches: The texts of each request.
        clients: The number of clients.
        options: The options of the program.
        folder: The folder for the files of the clients.
    """
    size = len(batches[0])
    loads = {}
    for server in servers:
        requests = folder / f"{server.api}-{size}.json"
        if not requests.exists():
            serving_load.write_messages(requests, contestants.requests(server.api, batches))
        command = [sys.executable, str(Path(serving_load.__file__)), "--api", server.api, "--host", contestants.HOST]
        command += ["--port", str(server.port), "--pid", str(server.process.pid), "--clients", str(clients)]
        command += ["--seconds", str(options.seconds), "--requests", str(requests)]
        load = turns.start([*command, "--answers", str(folder / f"{server.name}.json")])
        if turns.answer(load) is None:
            print(f"{server.name}: the clients ended with {load.wait()}, left out", file=sys.stderr)
        else:
            loads[server.name] = load
    results = turns.take_turns(loads, options.rounds)
    answers = {
        name: contestants.probabilities(
            contestants.CONTESTANTS[name].api, serving_load.read_messages(folder / f"{name}.json")
        )
        for name in results
    }
    rows = []
    for name, outcomes in results.items():
        row: dict[str, Any] = {"contestant": name, "rounds": outcomes}
        for key in MEASURED:
            row[key] = statistics.median(outcome[key] for outcome in outcomes)
        if "transformers" in answers:
            row["difference"] = float(np.abs(answers[name] - answers["transformers"]).max())
        rows.append(row)
    return {
        "clients": clients,
        "texts_per_request": size,
        "seconds": options.seconds,
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "rows": rows,
        "ratios": ratios(rows),
    }


def ratios(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the ratios of contestants to their peers, and whether they reach the goals."""
    by_name = {row["contestant"]: row for row in rows}
    result = []
    for name, peer, goal in GOALS:
        if name in by_name and peer in by_name:
            requests = by_name[name]["requests_per_second"] / by_name[peer]["requests_per_second"]
            p99 = by_name[name]["p99_ms"] / by_name[peer]["p99_ms"]
            reached = requests >= goal and p99 <= 1.0
            result.append(
                {"contestant": name, "peer": peer, "requests": requests, "goal": goal, "p99": p99, "reached": reached}
            )
    return result


def show(cell: dict[str, Any]) -> None:
    """Prints the results of a cell, and the ratios that decide the goals."""
    clients = f"{cell['clients']} client{'s' if cell['clients'] > 1 else ''}"
    texts = f"{cell['texts_per_request']} texts" if cell["texts_per_request"] > 1 else "one text"
    rounds = len(cell["rows"][0]["rounds"]) if cell["rows"] else 0
    print(f"\n{clients}, {texts} a request; medians of {rounds} rounds of {cell['seconds']:g} s; {cell['cpus']} cores; "
          f"load {cell['load']:.1f}")  # fmt: skip
    print(f"{'':18} {'requests/s':>10} {'p50, ms':>9} {'p99, ms':>9} {'cpu, ms':>8} {'load cpu, ms':>12} "
          f"{'difference':>11}")  # fmt: skip
    for row in cell["rows"]:
        print(
            f"{row['contestant']:18} {row['requests_per_second']:10,.1f} {row['p50_ms']:9,.1f} {row['p99_ms']:9,.1f} "
            f"{row['cpu_ms']:8,.2f} {row['load_cpu_ms']:12,.2f} {row.get('difference', float('nan')):11.1e}"
        )
    for ratio in cell["ratios"]:
        print(f"{ratio['contestant']} / {ratio['peer']}: {ratio['requests']:.2f} × requests/s "
              f"(goal {ratio['goal']:.1f}), {ratio['p99']:.2f} × p99 (goal 1.0): "
              f"{'reached' if ratio['reached'] else 'missed'}")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the missing cells, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    contestants.add_options(parser)
    parser.add_argument("--clients", nargs="*", type=int, default=[1, 8, 64], help="clients that send one text each")
    parser.add_argument("--bulk-clients", nargs="*", type=int, default=[1, 8], help="clients that send 32 texts each")
    parser.add_argument("--seconds", type=float, default=10.0, help="the seconds of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="the file of results; cells in it are not measured again")
    options = parser.parse_args(arguments)
    options.only = contestants.leave_out_missing(options.only)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end with this program
    cells = json.loads(options.json.read_text()) if options.json and options.json.exists() else []
    wanted = [(1, clients) for clients in options.clients]
    wanted += [(inference.BATCH_SIZE, clients) for clients in options.bulk_clients]
    finished = {(cell["texts_per_request"], cell["clients"]): cell for cell in cells}
    with contextlib.ExitStack() as stack:
        servers: list[contestants.Server] = []
        texts: list[str] = []
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for size, clients in wanted:
            cell = finished.get((size, clients))
            if cell is None:
                if not texts:
                    prepared = options.prepared or folder
                    contestants.prepare(prepared, options)
                    texts = contestants.read_texts(prepared)[: options.texts]
                    servers = started(options.only, prepared, stack)
                batches = [texts[start : start + size] for start in range(0, len(texts) // size * size, size)]
                cell = run_cell(servers, batches, clients, options, folder)
                cells.append(cell)
                if options.json:
                    options.json.write_text(json.dumps(cells, indent=2) + "\n")
            show(cell)


def started(names: Sequence[str], folder: Path, stack: contextlib.ExitStack) -> list[contestants.Server]:
    """Starts the servers, which end with the stack."""
    result = []
    for name in names:
        server = contestants.start(name, folder)
        if server is not None:
            stack.callback(server.stop)
            result.append(server)
    return result


if __name__ == "__main__":
    main()

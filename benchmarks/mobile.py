"""LiteRT files for phones beside ONNX Runtime: size, latency of one text, and what XNNPACK does not compute.

    python benchmarks/mobile.py --models tiny small minilm base --prepared models/ --json mobile.json

All contestants have the same weights of a classifier, and compute the answer for one row of 128 tokens with two
threads:

    kbert-float32, kbert-float16, ...   the files of `kbert export litert`, one for each dtype of its --quantize, run by
                                        ai-edge-litert without TensorFlow
    onnxruntime, onnxruntime-int8       transformers' model in ONNX Runtime, in float32 and with dynamic quantization

Token ids are given, so tokenizing is not a part of the latency. Each contestant has its own process, and they take
turns; the median of the rounds' p50 and p90 are compared. Files whose products are computed in float32 (float32 and
float16) are compared with ONNX Runtime in float32, and all others with its int8.

The column `difference` shows the largest difference of a probability from ONNX Runtime in float32. The weights of
presets are random, since latency does not depend on them; those of minilm are all-MiniLM-L6-v2's.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import inference
import numpy as np
import turns

LENGTH = 128
TEXTS = "texts.txt"
CALIBRATION_TEXTS = 200
PEERS = {"onnxruntime": "model.onnx", "onnxruntime-int8": "model-int8.onnx"}
"""The files of the contestants that are not kbert's."""
FLOAT32_PRODUCTS = ("kbert-float32", "kbert-float16", "onnxruntime")
WARM_UP_RUNS = 5
GOALS = {"onnxruntime": 1.1, "onnxruntime-int8": 1.6}
"""How many times as fast as these contestants kbert's fastest file should be."""

Compute = Callable[[], np.ndarray]
"""A function that computes the probabilities of the classes for one row of tokens, float32 [1, 2]."""


# === Contestants ===


def litert_file(path: Path, row: dict[str, np.ndarray], threads: int) -> Compute:
    """Returns a function that runs a LiteRT file."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(path), num_threads=threads).get_signature_runner()
    names = {"input_word_ids": "input_ids", "input_mask": "attention_mask", "input_type_ids": "token_type_ids"}
    inputs = {name: row[other].astype(np.int32) for name, other in names.items()}
    return lambda: runner(**inputs)["probabilities"]


def onnx_file(path: Path, row: dict[str, np.ndarray], threads: int) -> Compute:
    """Returns a function that runs an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {each.name: row[each.name].astype(np.int64) for each in session.get_inputs()}

    def compute() -> np.ndarray:
        exponents = np.exp(session.run(None, inputs)[0])
        return exponents / exponents.sum(-1, keepdims=True)

    return compute


def work(name: str, folder: Path, options: argparse.Namespace) -> None:
    """Runs a contestant in this process: writes its answer for the check, and then runs rounds."""
    row = dict(np.load(folder / "row.npz"))
    load = onnx_file if name in PEERS else litert_file
    compute = load(contestant_file(folder, name), row, options.threads)
    np.save(folder / f"{name}.npy", compute())
    for _ in range(WARM_UP_RUNS):
        compute()
    print(json.dumps({"ready": 1}), flush=True)
    for _ in sys.stdin:
        times = []
        for _ in range(options.runs):
            began = time.perf_counter()
            compute()
            times.append(1e3 * (time.perf_counter() - began))
        p50, p90 = np.percentile(times, [50, 90])
        print(json.dumps({"p50_ms": float(p50), "p90_ms": float(p90)}), flush=True)


def contestant_file(folder: Path, name: str) -> Path:
    """Returns the file of a contestant in the folder of a model."""
    return folder / PEERS[name] if name in PEERS else folder / f"{name}.tflite"


# === Referee ===


def write(name: str, folder: Path) -> None:
    """Writes the file of a contestant: for ONNX Runtime both files."""
    if name in PEERS:
        inference.export_onnx(folder)
        return
    import kbert

    quantize = contestants()[name]
    calibration = {"calibration": folder / TEXTS} if quantize == "int8" else {}
    try:
        kbert.export_litert(
            folder / "run",
            output=contestant_file(folder, name),
            quantize=quantize,
            sequence_lengths=[LENGTH],
            **calibration,
        )
    except kbert.KbertError as problem:
        sys.exit(f"{name}: {problem}")


def contestants() -> dict[str, str]:
    """Returns the names of all contestants, with the value of --quantize that each of kbert's files has."""
    from kbert.export.options import ExportLitertOptions
    from kbert.options import option_infos

    choices = option_infos(ExportLitertOptions)["quantize"].choices
    return {f"kbert-{'float32' if each == 'none' else each}": each for each in choices} | dict.fromkeys(PEERS, "")


def prepare(model: str, options: argparse.Namespace, folder: Path) -> list[str]:
    """Writes the files of all contestants, unless the folder has them.

    Args:
        model: "minilm", or a preset.
        options: The options of the program.
        folder: The folder.

    Returns:
        The contestants whose files could be written.
    """
    import kbert

    folder.mkdir(parents=True, exist_ok=True)
    run = folder / "run"
    if not run.exists():
        source = options.minilm if model == "minilm" else model
        tokenizer = None if model == "minilm" else kbert.Tokenizer(options.vocab, lowercase=True)
        classifier = kbert.ClassificationModel.from_preset(source, classes=2)
        classifier.save_to_preset(run, tokenizer=tokenizer, labels=["bad", "good"])
    rows = (options.data / "sst2" / "train.tsv").read_text(encoding="utf-8").splitlines()[1 : CALIBRATION_TEXTS + 1]
    (folder / TEXTS).write_text("".join(f"{row.split(chr(9))[0]}\n" for row in rows), encoding="utf-8")
    written = []
    for name in options.only:
        # Each file is written by a process of its own, since converters do not give all memory back.
        writer = [sys.executable, __file__, "--write", name, str(folder)]
        if contestant_file(folder, name).exists() or subprocess.run(writer, check=False).returncode == 0:
            written.append(name)
        else:
            print(f"{name}: could not be written, left out", file=sys.stderr)
    vocabulary = json.loads((run / "config.json").read_text())["vocab_size"]
    ids = np.random.default_rng(0).integers(0, vocabulary, (1, LENGTH))
    np.savez(folder / "row.npz", input_ids=ids, attention_mask=ids**0, token_type_ids=ids * 0)
    return written


def run_cell(model: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Lets all contestants take turns with one model, and returns the results."""
    from kbert.inference.litert_benchmark.benchmark import bench_litert

    running = {}
    for name in prepare(model, options, folder):
        settings = ["--threads", str(options.threads), "--runs", str(options.runs)]
        process = turns.start([sys.executable, __file__, *settings, "--work", name, str(folder)])
        if turns.answer(process) is None:
            print(f"{name}: ended with {process.wait()}, left out", file=sys.stderr)
        else:
            running[name] = process
    results = turns.take_turns(running, options.rounds)
    expected = np.load(folder / "onnxruntime.npy") if "onnxruntime" in results else None
    rows = []
    for name, outcomes in results.items():
        row: dict[str, Any] = {"contestant": name, "bytes": contestant_file(folder, name).stat().st_size}
        for key in outcomes[0]:
            row[key] = statistics.median(outcome[key] for outcome in outcomes)
        if expected is not None:
            row["difference"] = float(np.abs(np.load(folder / f"{name}.npy") - expected).max())
        if name not in PEERS:
            measured = bench_litert(contestant_file(folder, name), threads=[options.threads], runs=1)
            (signature,) = measured.signatures.values()
            row |= {
                "weights": dict(measured.weights),
                "peak_memory": signature.latencies[0].peak_memory,
                "operations": signature.operations,
                "partitions": signature.partitions,
                "outside": dict(signature.outside),
            }
        rows.append(row)
    compare(rows)
    return {"model": model, "threads": options.threads, "load": os.getloadavg()[0], "rows": rows}


def compare(rows: Sequence[dict[str, Any]]) -> None:
    """Adds to each row its `share` of the size in float32, and how many times as `fast` as ONNX Runtime it is."""
    by_name = {row["contestant"]: row for row in rows}
    for name, row in by_name.items():
        whole = by_name.get("onnxruntime" if name in PEERS else "kbert-float32")
        if whole is not None:
            row["share"] = row["bytes"] / whole["bytes"]
        peer = by_name.get("onnxruntime" if name in FLOAT32_PRODUCTS else "onnxruntime-int8")
        if peer is not None and name not in PEERS:
            row["fast"] = peer["p50_ms"] / row["p50_ms"]


def show(cell: dict[str, Any]) -> None:
    """Prints the results of a model, and how kbert's fastest files compare with the goals."""
    print(f"\n{cell['model']}: one row of {LENGTH} tokens, {cell['threads']} threads; load {cell['load']:.1f}")
    print(f"{'':18} {'MB':>8} {'share':>6} {'p50 ms':>9} {'p90 ms':>9} {'times as fast':>14} {'difference':>11} "
          f"{'partitions':>11}  outside")  # fmt: skip
    missing = float("nan")
    for row in cell["rows"]:
        outside = ", ".join(f"{count} {name}" for name, count in row.get("outside", {}).items())
        print(f"{row['contestant']:18} {row['bytes'] / 1e6:8.1f} {row.get('share', missing):6.1%} "
              f"{row['p50_ms']:9.2f} {row['p90_ms']:9.2f} {row.get('fast', missing):14.2f} "
              f"{row.get('difference', missing):11.1e} {row.get('partitions', ''):>11}  {outside}")  # fmt: skip
    for peer, goal in GOALS.items():
        rows = [
            row
            for row in cell["rows"]
            if "fast" in row and (row["contestant"] in FLOAT32_PRODUCTS) == (peer == "onnxruntime")
        ]
        if rows:
            best = max(rows, key=lambda row: row["fast"])
            print(f"{best['contestant']} is {best['fast']:.2f} times as fast as {peer}; the goal is {goal}")


@contextlib.contextmanager
def folder_of(model: str, options: argparse.Namespace) -> Iterator[Path]:
    """Gives the folder for the files of a model: one of --prepared, or a temporary one."""
    if options.prepared:
        yield options.prepared / model
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the missing models, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument(
        "--models",
        nargs="+",
        default=["tiny", "small", "minilm", "base"],
        help="minilm, or presets with random weights",
    )
    parser.add_argument("--minilm", type=Path, default=inference.minilm_folder(), help="the folder of all-MiniLM-L6-v2")
    parser.add_argument("--vocab", type=Path, help="the vocabulary of presets  [default: that of the data folder]")
    parser.add_argument("--prepared", type=Path, help="the folder of the files; files that it has are not made again")
    parser.add_argument("--only", nargs="+", help="the contestants  [default: all]")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=30, help="the number of computations of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="the file of results; models in it are not measured again")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.write:
        write(options.write[0], Path(options.write[1]))
        return
    if options.work:
        work(options.work[0], Path(options.work[1]), options)
        return
    options.vocab = options.vocab or options.data / "vocab" / "bert-base-uncased.txt"
    names = contestants()
    unknown = set(options.only or ()) - names.keys()
    if unknown:
        parser.error(f"--only must be some of {', '.join(names)}. Received: {', '.join(sorted(unknown))}")
    options.only = options.only or list(names)
    for name in [each for each in options.only if each in PEERS]:
        if not all(map(importlib.util.find_spec, ("onnxruntime", "torch", "transformers"))):
            print(f"{name}: left out; it needs onnxruntime, torch and transformers")
            options.only.remove(name)
    cells = json.loads(options.json.read_text()) if options.json and options.json.exists() else []
    for model in options.models:
        cell = next((cell for cell in cells if (cell["model"], cell["threads"]) == (model, options.threads)), None)
        if cell is None:
            with folder_of(model, options) as folder:
                cell = run_cell(model, options, folder)
            cells.append(cell)
            if options.json:
                options.json.write_text(json.dumps(cells, indent=2) + "\n")
        show(cell)


if __name__ == "__main__":
    main()

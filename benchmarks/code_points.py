"""The tokenizer inside a LiteRT model, compared with the encoder that gets its tokens: milliseconds and sizes.

    python benchmarks/code_points.py [--data FOLDER] [--rounds 200] [--json FILE]

The tokenizer reads 512 code points and writes 128 tokens. The encoder has the shape of MiniLM, 6 layers of width 384,
with random weights, in float32 and with weights in int8. All run in the same process, one after another in each round,
with one and with two threads. The ids and offsets of real sentences are compared with those of the tokenizer first.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

from kbert.runtime.tensorflow import import_tensorflow

import_tensorflow()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import kbert  # noqa: E402
from kbert import features  # noqa: E402
from kbert.export.phone.code_points.encoder import CODE_POINTS, ENDS, STARTS, CodePointEncoder  # noqa: E402
from kbert.export.phone.code_points.tokenizer import CodePointTokenizer  # noqa: E402
from kbert.export.phone.graph import InferenceGraph  # noqa: E402
from kbert.inference.litert_model import interpreter, litert_model  # noqa: E402
from kbert.models.encoder import BertEncoder  # noqa: E402

CODE_POINT_COUNT, LENGTH = 512, 128
FLOAT32, INT8 = "encoder, float32", "encoder, int8"
VOCABULARIES = ("bert-base-uncased", "bert-base-cased", "bert-base-chinese")


def main() -> None:
    """Compares the ids, measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--rounds", default=200, type=int)
    parser.add_argument("--texts", default=500, type=int, help="The number of texts whose ids are compared.")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    sentences = (arguments.data / "sst2" / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]
    sentences = [line.split("\t")[0] for line in sentences]
    texts = [" ".join(sentences[start : start + 6])[:CODE_POINT_COUNT] for start in range(0, len(sentences), 2)]
    lines = (arguments.data / "corpus" / "zh_wikipedia.txt").read_text(encoding="utf-8").splitlines()
    texts += [line[:CODE_POINT_COUNT] for line in lines if line][: len(texts)]
    texts = texts[:: max(1, len(texts) // arguments.texts)]

    models: dict[str, bytes] = {}
    wrong = {}
    for name in VOCABULARIES:
        tokenizer = kbert.Tokenizer(
            arguments.data / "vocab" / f"{name}.txt", lowercase=not name.endswith("-cased"), special_tokens_in_text=True
        )
        signature = [tf.TensorSpec([1, CODE_POINT_COUNT], tf.int32, name=CODE_POINTS)]
        models[name] = litert_model(CodePointEncoder(CodePointTokenizer(tokenizer), LENGTH), signature)
        wrong[name] = count_wrong(models[name], tokenizer, texts)
    for quantize, label in (("none", FLOAT32), ("dynamic", INT8)):
        models[label] = encoder_model(quantize)

    longest = max(texts[: len(texts) // 2], key=len)
    milliseconds = {threads: measure(models, longest, threads, arguments.rounds) for threads in (1, 2)}
    print(f"{len(texts)} texts; {CODE_POINT_COUNT} code points to {LENGTH} tokens; {os.cpu_count()} cores")
    print("Milliseconds are the median and the fastest of the rounds; the share is that of the fastest.")
    print(f"{'':20} {'MB':>6} {'wrong':>6} {'1 thread':>15} {'of float32':>10} {'2 threads':>15} {'of float32':>10}")
    for name, content in models.items():
        columns = ""
        for values in milliseconds.values():
            median, fastest = values[name]
            columns += f" {median:7.2f} {fastest:7.2f} {fastest / values[FLOAT32][1]:10.1%}"
        print(f"{name:20} {len(content) / 1e6:6.2f} {wrong.get(name, ''):>6}{columns}")
    if arguments.json:
        sizes = {name: len(content) for name, content in models.items()}
        arguments.json.write_text(
            json.dumps({"bytes": sizes, "wrong": wrong, "milliseconds": milliseconds, "texts": len(texts)}, indent=2)
        )


def encoder_model(quantize: str) -> bytes:
    """Returns an encoder of the shape of MiniLM."""
    config = kbert.BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, vocab_size=30522
    )
    graph = InferenceGraph(BertEncoder(config), LENGTH)
    signature = [tf.TensorSpec([1, LENGTH], tf.int32, name=each.name) for each in features.ENCODER_FEATURES]
    return litert_model(lambda *values: {"pooled": graph(*values)["pooled_output"]}, signature, quantize)


def code_points(text: str) -> np.ndarray:
    """Returns the code points of a text, int32 [1, N]."""
    return np.array([[ord(character) for character in text.ljust(CODE_POINT_COUNT, "\0")]], np.int32)


def count_wrong(model: bytes, tokenizer: kbert.Tokenizer, texts: list[str]) -> int:
    """Returns the number of texts whose ids or offsets differ from those of the tokenizer."""
    runner = interpreter(model, 1).get_signature_runner()
    wrong = 0
    for text in texts:
        outputs = {name: value[0].tolist() for name, value in runner(**{CODE_POINTS: code_points(text)}).items()}
        expected = tokenizer.encode(text, max_length=LENGTH, pad_to=LENGTH)
        offsets = list(zip(outputs[STARTS], outputs[ENDS], strict=True))
        wrong += (outputs[features.INPUT_WORD_IDS.name], offsets) != (expected.ids, expected.offsets)
    return wrong


def measure(models: dict[str, bytes], text: str, threads: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Returns the median and the fastest milliseconds of each model."""
    interpreters: dict[str, Any] = {}
    for name, content in models.items():
        interpreters[name] = interpreter(content, threads)
        interpreters[name].allocate_tensors()
        inputs = interpreters[name].get_input_details()
        for each in inputs:
            value = code_points(text) if len(inputs) == 1 else np.ones([1, LENGTH], np.int32)
            interpreters[name].set_tensor(each["index"], value)
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds + 1):
        for name, each in interpreters.items():
            began = time.perf_counter()
            each.invoke()
            seconds[name].append(time.perf_counter() - began)
    return {name: (statistics.median(values[1:]) * 1e3, min(values) * 1e3) for name, values in seconds.items()}


if __name__ == "__main__":
    main()

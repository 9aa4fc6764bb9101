"""Tokenizer throughput on real sentences, compared with Hugging Face's `tokenizers` in the same run.

    python benchmarks/tokenizer.py [--data FOLDER] [--rounds 5] [--json FILE]

Prints medians of interleaved rounds. The ids are compared first, and the number of differences is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from kbert.runtime.tensorflow import import_tensorflow

import_tensorflow()

import tensorflow as tf  # noqa: E402
from tokenizers import BertWordPieceTokenizer  # noqa: E402

import kbert  # noqa: E402


def main() -> None:
    """Runs the contestants, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    vocabulary = arguments.data / "vocab" / "bert-base-uncased.txt"
    lines = (arguments.data / "sst2" / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]
    texts = [line.split("\t")[0] for line in lines]
    size = sum(len(text.encode()) for text in texts) / 1e6

    tokenizer = kbert.Tokenizer(vocabulary, lowercase=True)
    graph_tokenizer = tokenizer.to_graph()
    foreign = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    batches = [tf.constant(texts[start : start + 4096]) for start in range(0, len(texts), 4096)]
    in_graph = tf.function(graph_tokenizer, input_signature=[tf.TensorSpec([None], tf.string)])

    def dataset() -> None:
        pipeline = tf.data.Dataset.from_tensor_slices(texts).batch(4096)
        for _ in pipeline.map(graph_tokenizer, num_parallel_calls=tf.data.AUTOTUNE):
            pass

    contestants: dict[str, Callable[[], object]] = {
        "tokenizers, encode_batch": lambda: foreign.encode_batch(texts, add_special_tokens=False),
        "kbert in the graph, batches of 4096": lambda: [in_graph(batch).flat_values.numpy() for batch in batches],
        "kbert in tf.data": dataset,
        "kbert in Python, ids": lambda: [tokenizer.ids(text) for text in texts],
    }
    expected = [encoding.ids for encoding in foreign.encode_batch(texts, add_special_tokens=False)]
    received = [row for batch in batches for row in in_graph(batch).to_list()]
    wrong = sum(a != b for a, b in zip(expected, received, strict=True))

    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(arguments.rounds + 1):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    reference = medians["tokenizers, encode_batch"]
    print(f"{len(texts):,} sentences, {size:.1f} MB, {os.cpu_count()} cores; {wrong} rows of ids differ")
    for name, median in medians.items():
        print(f"{name:38} {median:7.3f} s {size / median:7.1f} MB/s {reference / median:6.2f} x")
    if arguments.json:
        arguments.json.write_text(json.dumps({"megabytes": size, "wrong": wrong, "seconds": medians}, indent=2))


if __name__ == "__main__":
    main()

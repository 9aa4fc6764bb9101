"""Vocabulary training: time and memory, compared with Hugging Face's trainer and tensorflow-text's learner in one run.

    python benchmarks/vocabulary.py [--data FOLDER] [--megabytes 32] [--part 1] [--size 30522] [--json FILE]

Each contestant runs in its own process, which is measured from its start until vocab.txt is written. The text is
en_wikipedia.txt, lower-cased. tensorflow-text's learner takes minutes per megabyte, so it gets only a part of the text,
and kbert is also measured on this part.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil


def main() -> None:
    """Runs the contestants, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--megabytes", default=32.0, type=float)
    parser.add_argument("--part", default=1.0, type=float, help="The megabytes of text for tensorflow-text.")
    parser.add_argument("--size", default=30_522, type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--contestant", nargs=3, metavar=("NAME", "TEXT", "OUTPUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        name, text, output = arguments.contestant
        _FOREIGN[name](text, output, arguments.size)
        return

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        data = (arguments.data / "corpus" / "en_wikipedia.txt").read_bytes()
        texts = {}
        for megabytes in (arguments.megabytes, arguments.part):
            texts[megabytes] = Path(folder, f"text-{megabytes}.txt")
            texts[megabytes].write_bytes(data[: int(megabytes * 1e6)].decode(errors="ignore").encode())
        plan = [
            ("kbert vocab train", arguments.megabytes),
            ("tokenizers", arguments.megabytes),
            ("kbert vocab train", arguments.part),
            ("tensorflow-text", arguments.part),
        ]
        for name, megabytes in plan:
            output = Path(folder, "vocab.txt")
            command = [sys.executable, "-m", "kbert", "vocab", "train", str(texts[megabytes]), "--output", str(output)]
            if name in _FOREIGN:
                command = [sys.executable, __file__, "--contestant", name, str(texts[megabytes]), str(output)]
            seconds, peak = run([*command, "--size", str(arguments.size)])
            entries = len(output.read_text(encoding="utf-8").splitlines())
            size = texts[megabytes].stat().st_size / 1e6
            rows.append({"name": name, "megabytes": size, "entries": entries, "seconds": seconds, "peak_mb": peak})
    print(f"{'':18} {'MB of text':>10} {'entries':>8} {'seconds':>8} {'MB/s':>6} {'peak MB':>8}")
    for row in rows:
        print(
            f"{row['name']:18} {row['megabytes']:10.1f} {row['entries']:8,} {row['seconds']:8.1f} "
            f"{row['megabytes'] / row['seconds']:6.2f} {row['peak_mb']:8.0f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def run(command: list[str]) -> tuple[float, float]:
    """Runs a program; returns its seconds, and its peak of resident memory including child processes in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    root = psutil.Process(process.pid)
    peak = 0
    while process.poll() is None:
        try:
            peak = max(peak, sum(member.memory_info().rss for member in [root, *root.children(recursive=True)]))
        except psutil.Error:
            continue
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    message = process.communicate()[1]
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {message}")
    return seconds, peak / 1e6


def _train_tokenizers(text: str, output: str, size: int) -> None:
    from tokenizers import BertWordPieceTokenizer

    tokenizer: Any = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train([text], vocab_size=size, min_frequency=2, show_progress=False)
    entries = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    Path(output).write_text("".join(f"{token}\n" for token, _ in entries), encoding="utf-8")


def _train_tensorflow_text(text: str, output: str, size: int) -> None:
    import tensorflow as tf
    from tensorflow_text.tools.wordpiece_vocab import bert_vocab_from_dataset

    entries = bert_vocab_from_dataset.bert_vocab_from_dataset(
        tf.data.TextLineDataset(text).batch(1000).prefetch(2),
        vocab_size=size,
        reserved_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        bert_tokenizer_params={"lower_case": True},
    )
    Path(output).write_text("".join(f"{token}\n" for token in entries), encoding="utf-8")


_FOREIGN: dict[str, Callable[[str, str, int], None]] = {
    "tokenizers": _train_tokenizers,
    "tensorflow-text": _train_tensorflow_text,
}


if __name__ == "__main__":
    main()

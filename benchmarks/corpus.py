"""Corpus building: speed, memory, statistics of the examples, and independence of the number of workers, in one table.

    python benchmarks/corpus.py [--data FOLDER] [--quick] [--beam-python PYTHON] [--json FILE]

The text is en_wikipedia.txt. The original create_pretraining_data.py processes 0.85 MB/s with duplication 1 in one
process, as measured on a machine with two cores; it is not run here. The check of random next texts uses a synthetic
corpus in which each document has its own words, so that the document of a text is known.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil

ORIGINAL = 0.85
"""The speed of the original code in one process, in MB/s."""
SEQUENCE_LENGTH = 128


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        what: The name of the quantity.
        measured: The measured value.
        wanted: The required value; "" if there is none.
        good: Whether the measured value meets the requirement; None if there is none.
    """

    what: str
    measured: str
    wanted: str = ""
    good: bool | None = None


@dataclasses.dataclass
class Bench:
    """The inputs of the measurements.

    Args:
        text: The text in UTF-8.
        vocabulary: The vocab.txt.
        folder: A temporary folder for corpora.
        examples: The number of examples for statistics.
        megabytes: The sizes of text for the measurement of memory.
        beam_python: The path of a Python that has apache-beam.
    """

    text: bytes
    vocabulary: Path
    folder: Path
    examples: int
    megabytes: tuple[int, ...]
    beam_python: str

    def repeated(self, megabytes: int) -> Path:
        """Writes the text, cut or repeated to a size, and returns its path; each repetition shuffles the documents."""
        documents = self.text.split(b"\n\n")
        path = self.folder / f"text-{megabytes}.txt"
        written = 0
        with open(path, "wb") as handle:
            for seed in range(10**6):
                order = list(range(len(documents)))
                if seed:
                    random.Random(seed).shuffle(order)
                for index in order:
                    written += handle.write(documents[index] + b"\n\n")
                    if written >= megabytes * 1_000_000:
                        return path
        raise AssertionError

    def build(self, text: Path, name: str, **options: object) -> tuple[Path, float, float]:
        """Builds a corpus with the command line.

        Returns:
            The folder of the corpus, the seconds, and the peak memory of the largest process in MB.
        """
        output = self.folder / name
        shutil.rmtree(output, ignore_errors=True)
        seconds, peak = run(self.command(text, output, **options))
        return output, seconds, peak

    def command(self, text: Path, output: Path, **options: object) -> list[str]:
        """Returns the command line of a build, without the name of the program."""
        vocabulary = options.pop("vocab", self.vocabulary)
        command = ["corpus", "build", str(text), "--vocab", str(vocabulary), "--output", str(output)]
        for option, value in options.items():
            command += [f"--{option.replace('_', '-')}", *([] if value is True else [str(value)])]
        return command


def main() -> None:
    """Runs all measurements and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--quick", action="store_true", help="Use a tenth of the text, to test the benchmark.")
    parser.add_argument("--beam-python", default=sys.executable, help="The path of a Python with kbert's extra `beam`.")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    text = (arguments.data / "corpus" / "en_wikipedia.txt").read_bytes()
    if arguments.quick:
        text = text[: len(text) // 10].decode(errors="ignore").encode()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(
            text=text,
            vocabulary=(arguments.data / "vocab" / "bert-base-uncased.txt").absolute(),
            folder=Path(folder),
            examples=10_000 if arguments.quick else 100_000,
            megabytes=(1, 3, 12) if arguments.quick else (8, 32, 128),
            beam_python=arguments.beam_python,
        )
        for measure in MEASUREMENTS:
            print(f"{measure.__name__} ...", file=sys.stderr)
            rows += measure(bench)
    widths = [max(len(getattr(row, name)) for row in rows) for name in ("what", "measured", "wanted")]
    for row in rows:
        verdict = {None: "", True: "ok", False: "MISSED"}[row.good]
        print(f"{row.what:{widths[0]}}  {row.measured:>{widths[1]}}  {row.wanted:{widths[2]}}  {verdict}".rstrip())
    if arguments.json:
        # JSON cannot store NumPy's numbers and booleans.
        values = [dataclasses.asdict(row) for row in rows]
        arguments.json.write_text(json.dumps(values, indent=2, default=lambda value: value.item()) + "\n")


def speed(bench: Bench) -> Iterator[Row]:
    """Measures megabytes of text per second, from the start of the program to its end."""
    path = bench.folder / "text.txt"
    path.write_bytes(bench.text)
    size = len(bench.text) / 1e6
    for workers in (1, 2):
        _, seconds, _ = bench.build(path, "speed", workers=workers)
        rate = size / seconds
        good = rate >= 10 * ORIGINAL if workers == 2 else None
        wanted = f">= {10 * ORIGINAL} (10 x the original's)" if workers == 2 else ""
        yield Row(f"MB/s of text, {workers} workers", f"{rate:.2f}", wanted, good)
        yield Row("  x the original's 0.85, quoted", f"{rate / ORIGINAL:.1f}")
    output, seconds, _ = bench.build(path, "speed", workers=2, duplicates=5)
    yield Row("records/s, duplication 5, 2 workers", f"{count(output) / seconds:,.0f}")


def memory(bench: Bench) -> Iterator[Row]:
    """Measures the peak of resident memory of the largest process."""
    peaks = []
    for megabytes in bench.megabytes:
        path = bench.repeated(megabytes)
        peaks.append(bench.build(path, "memory", workers=2)[2])
        path.unlink()
        yield Row(f"peak MB of a process, {megabytes} MB of text", f"{peaks[-1]:.0f}", "< 1000", peaks[-1] < 1000)
    spread = max(peaks) / min(peaks) - 1
    yield Row("  largest over smallest", f"{spread:+.1%}", "<= 10 %", spread <= 0.1)


def workers_and_kills(bench: Bench) -> Iterator[Row]:
    """Checks that the examples do not depend on the number of workers, and that a killed build can be resumed."""
    path = bench.repeated(bench.megabytes[0])
    hashes = {}
    for workers in (1, 2, 4):
        output, _, _ = bench.build(path, f"workers-{workers}", workers=workers)
        hashes[workers] = records_hash(output)
        yield Row(
            f"hash of sorted records, {workers} workers", hashes[workers][:16], "equal", hashes[workers] == hashes[1]
        )
    yield _beam(bench, path, hashes[1])
    whole = {p.name: p.read_bytes() for p in (bench.folder / "workers-1").iterdir()}
    output = bench.folder / "killed"
    command = bench.command(path, output, workers=2)
    process = subprocess.Popen([sys.executable, "-m", "kbert", *command], stderr=subprocess.DEVNULL)
    journal = output / "unfinished.jsonl"
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 1):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = [json.loads(line) for line in journal.read_text().splitlines(keepends=True)[1:]]
    before = {line["shard"]["file"]: (output / line["shard"]["file"]).stat().st_ino for line in done}
    run([*command, "--resume"])
    same = {p.name: p.read_bytes() for p in output.iterdir()} == whole
    kept = all((output / name).stat().st_ino == inode for name, inode in before.items())
    yield Row(
        f"killed after {len(before)} shards, --resume: same bytes, shards kept", f"{same}, {kept}", "", same and kept
    )


def statistics(bench: Bench) -> Iterator[Row]:
    """Measures the shares of masked tokens and labels in many examples, as the pipeline reads them."""
    from kbert.corpus.reading.pipeline import PretrainingBatches

    path = bench.folder / "text.txt"
    path.write_bytes(bench.text)
    for masking, options in (("static", {}), ("dynamic", {}), ("dynamic", {"spans": True})):
        output, _, _ = bench.build(path, "statistics", workers=2, duplicates=2, masking=masking, **options)
        batches = PretrainingBatches(output, batch_size=1000)
        mask_id = batches.vocabulary.mask_id
        tokens = chosen = masked = kept = labels = examples = 0
        for batch, _ in zip(batches.batches(), range(bench.examples // 1000), strict=False):
            used = batch["masked_lm_weights"] > 0
            became = np.take_along_axis(batch["input_word_ids"], batch["masked_lm_positions"], axis=1)[used]
            tokens += batch["input_mask"].sum()
            chosen += used.sum()
            masked += (became == mask_id).sum()
            kept += (became == batch["masked_lm_ids"][used]).sum()
            labels += batch["next_sentence_labels"].sum()
            examples += len(used)
        name = f"{masking}{', spans' if options else ''}, {examples:,} examples"
        fates = np.array([masked, chosen - masked - kept, kept]) / chosen
        yield Row(f"masked, {name}", f"{chosen / tokens:.2%}", "15 % +- 0.1", abs(chosen / tokens - 0.15) <= 0.001)
        yield Row(
            "  [MASK] / random / kept",
            " / ".join(f"{fate:.2%}" for fate in fates),
            "80 / 10 / 10 % +- 0.5",
            bool((np.abs(fates - [0.8, 0.1, 0.1]) <= 0.005).all()),
        )
        share = labels / examples
        yield Row("  random next", f"{share:.2%}", "50 % +- 0.5", abs(share - 0.5) <= 0.005)


def random_texts(bench: Bench) -> Iterator[Row]:
    """Checks where second texts come from, with a corpus in which the word d_w occurs only in document d."""
    words = 20
    for documents in (1000, 2):
        vocabulary = bench.folder / "marked-vocab.txt"
        tokens = [f"d{document}w{word}" for document in range(documents) for word in range(words)]
        vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tokens]) + "\n")
        rng = np.random.default_rng(0)
        path = bench.folder / "marked.txt"
        with open(path, "w") as handle:
            for document in range(documents):
                for _ in range(int(rng.integers(1, 200))):
                    chosen = rng.integers(0, words, rng.integers(3, 40))
                    handle.write(" ".join(f"d{document}w{word}" for word in chosen) + "\n")
                handle.write("\n")
        passes = 10 if documents > 2 else 300
        output, _, _ = bench.build(path, "marked", vocab=vocabulary, workers=2, duplicates=passes)
        same = crossed = examples = randoms = 0
        for ids, types, label in plain_examples(output):
            first = {(index - 5) // words for index, kind in zip(ids, types, strict=True) if index > 4 and not kind}
            second = {(index - 5) // words for index, kind in zip(ids, types, strict=True) if index > 4 and kind}
            crossed += len(first) != 1 or len(second) != 1
            same += label and first == second
            crossed += not label and first != second
            randoms += label
            examples += 1
            if examples == bench.examples:
                break
        yield Row(f"{documents} documents: random texts of the same, of {examples:,}", f"{same}", "0", same == 0)
        yield Row("  texts of two documents, or true nexts of another", f"{crossed}", "0", crossed == 0)
        yield Row("  random next", f"{randoms / examples:.2%}")
    path.write_text("d0w0 d0w1\nd0w2\n")
    output = bench.folder / "one"
    command = [sys.executable, "-m", "kbert", *bench.command(path, output, vocab=vocabulary)]
    result = subprocess.run(command, capture_output=True, text=True)
    clear = result.returncode == 1 and "expected at least two documents" in result.stderr
    yield Row("one document is refused", str(clear), "True", clear)


def _beam(bench: Bench, path: Path, expected: str) -> Row:
    """Checks that a pipeline on Beam's multi-process runner builds the same examples."""
    what = "hash of sorted records, Beam in 2 processes"
    if subprocess.run([bench.beam_python, "-c", "import apache_beam"], capture_output=True).returncode:
        return Row(what, "not run: apache-beam is not installed", "equal")
    output = bench.folder / "beam"
    command = bench.command(path, output, runner="DirectRunner")
    options = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    result = subprocess.run(
        [bench.beam_python, "-m", "kbert", *command, "--", *options], capture_output=True, text=True
    )
    if result.returncode:
        raise SystemExit(f"kbert {' '.join(command)} failed: {result.stderr[-2000:]}")
    found = records_hash(output)
    return Row(what, found[:16], "equal", found == expected)


def packing(bench: Bench) -> Iterator[Row]:
    """Measures the fill rate of rows of 512 tokens."""
    path = bench.folder / "text.txt"
    for length in (128, 512):
        output, _, _ = bench.build(path, "packing", workers=2, sequence_length=length)
        code = (
            "import sys\nfrom kbert.corpus.reading.pipeline import PretrainingBatches\n"
            "print(PretrainingBatches(sys.argv[1], batch_size=1, pack_to=512).fill_rate)"
        )
        result = subprocess.run([sys.executable, "-c", code, str(output)], capture_output=True, text=True, check=True)
        rate = float(result.stdout)
        yield Row(f"fill rate, examples of {length} packed to 512", f"{rate:.2%}", ">= 98 %", rate >= 0.98)


MEASUREMENTS: list[Callable[[Bench], Iterator[Row]]] = [
    speed,
    memory,
    workers_and_kills,
    packing,
    statistics,
    random_texts,
]


def count(folder: Path) -> int:
    """Returns the number of examples in the manifest of a corpus."""
    return int(json.loads((folder / "manifest.json").read_text())["counts"]["examples"])


def raw_records(folder: Path) -> Iterator[bytes]:
    """Yields the serialized examples of a corpus, without checking the checksums of the TFRecords."""
    for path in sorted(folder.glob("examples-*.tfrecord.gz")):
        data = gzip.decompress(path.read_bytes())
        at = 0
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            yield data[at + 12 : at + 12 + size]
            at += size + 16


def records_hash(folder: Path) -> str:
    """Returns a hash of the examples that does not depend on their order."""
    digest = hashlib.sha256()
    for record in sorted(raw_records(folder)):
        digest.update(hashlib.sha256(record).digest())
    return digest.hexdigest()


def plain_examples(folder: Path) -> Iterator[tuple[list[int], list[int], int]]:
    """Yields the ids, the types and the label of each example."""
    import tensorflow as tf

    for record in raw_records(folder):
        feature = tf.train.Example.FromString(record).features.feature
        ids, types, label = (
            feature[name].int64_list.value for name in ("input_word_ids", "input_type_ids", "next_sentence_labels")
        )
        yield list(ids), list(types), label[0]


def run(arguments: list[str]) -> tuple[float, float]:
    """Runs kbert; returns the seconds and the largest peak of resident memory among its processes in MB."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "kbert", *arguments], stderr=subprocess.PIPE, text=True)
    root = psutil.Process(process.pid)
    peak = 0
    while process.poll() is None:
        for member in [root, *_children(root)]:
            try:
                peak = max(peak, _peak(member.pid))
            except (psutil.Error, OSError):
                continue
        time.sleep(0.25)
    seconds = time.perf_counter() - began
    message = process.communicate()[1]
    if process.returncode:
        raise SystemExit(f"kbert {' '.join(arguments)} failed: {message}")
    return seconds, peak / 1e6


def _peak(process: int) -> int:
    """Returns the peak of a process's resident memory in bytes, which Linux records, so that no peak is missed."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0]) if "VmHWM:" in status else 0


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


if __name__ == "__main__":
    main()

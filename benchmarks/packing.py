"""Packing: the fill rate of packed rows, and the speed of training on packed rows compared with padded rows.

    python benchmarks/packing.py [--data FOLDER] [--megabytes 8] [--preset mini] [--rounds 5] [--json FILE]

Corpora of en_wikipedia.txt with examples of 128 and 512 tokens are packed into rows of 512 tokens. For the corpus of
length 512, forward and backward passes of padded and packed batches are timed in turn, on the devices that TensorFlow
finds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from kbert.config import preset_config
from kbert.corpus.building.build import build_corpus
from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.models.encoder import BertEncoder
from kbert.models.pretraining import PretrainingModel
from kbert.text.vocabulary_training import train_vocabulary
from kbert.training.loop.objectives import PretrainingObjective

LENGTH = 512


def main() -> None:
    """Runs the contestants and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("KBERT_DATA", "../shared/data"), type=Path)
    parser.add_argument("--megabytes", default=8, type=int)
    parser.add_argument("--preset", default="mini")
    parser.add_argument("--batch-size", default=8, type=int)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text.txt")
        with open(arguments.data / "corpus" / "en_wikipedia.txt", "rb") as handle:
            text.write_bytes(handle.read(arguments.megabytes * 1_000_000).decode(errors="ignore").encode())
        vocabulary = Path(folder, "vocab.txt")
        train_vocabulary([text], size=8192).save(vocabulary)
        print(
            f"{'length':>6} {'examples':>9} {'packed rows':>11} {'most in a row':>13} {'unpacked':>8} {'fill rate':>9}"
        )
        for length in (128, LENGTH):
            corpus = Path(folder, f"corpus-{length}")
            manifest = build_corpus([text], vocab=vocabulary, output=corpus, sequence_length=length, workers=2)
            packed = PretrainingBatches(corpus, batch_size=1, pack_to=LENGTH)
            padded_fill = manifest.counts["example_tokens"] / (manifest.examples * length)
            rows.append({"length": length, "fill_rate": packed.fill_rate, "padded_fill": padded_fill})
            print(
                f"{length:6} {manifest.examples:9,} {packed.rows:11,} {packed.layout.examples:13} {padded_fill:8.2%} "
                f"{packed.fill_rate:9.2%}"
            )
        rows.append(_speed(corpus, arguments.preset, arguments.batch_size, arguments.rounds))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2))


def _speed(corpus: Path, preset: str, batch_size: int, rounds: int) -> dict[str, Any]:
    contestants = {
        name: _Contestant(PretrainingBatches(corpus, batch_size=batch_size, pack_to=pack_to), preset)
        for name, pack_to in (("padded", None), ("packed", LENGTH))
    }
    measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, contestant in contestants.items():
            outcome = contestant.step()
            if turn:  # the first call also traces the graph
                measured[name].append(outcome)
    print(f"\n{preset}, {batch_size} rows of {LENGTH}, median of {rounds}")
    print(f"{'':>8} {'ms/step':>8} {'tokens/s':>9} {'examples/s':>10}")
    result: dict[str, Any] = {"preset": preset}
    for name, outcomes in measured.items():
        seconds = statistics.median(seconds for seconds, _, _ in outcomes)
        tokens, examples = (sum(outcome[place] for outcome in outcomes) / rounds / seconds for place in (1, 2))
        result[name] = {"seconds": seconds, "tokens_per_second": tokens, "examples_per_second": examples}
        print(f"{name:>8} {seconds * 1e3:8.0f} {tokens:9,.0f} {examples:10.1f}")
    ratio = result["packed"]["tokens_per_second"] / result["padded"]["tokens_per_second"]
    print(f"packed / padded: {ratio:.2f} x the tokens a second")
    return {**result, "ratio": ratio}


class _Contestant:
    def __init__(self, batches: PretrainingBatches, preset: str) -> None:
        config = preset_config(preset, len(batches.vocabulary))
        packed = batches.layout.examples is not None
        model = PretrainingModel(BertEncoder(config, packed=packed))
        objective = PretrainingObjective()
        variables = [variable.value for variable in model.trainable_variables]

        @tf.function
        def train(batch: dict[str, tf.Tensor]) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                loss_sums = objective.loss_sums(model(batch, training=True), batch)
                loss_weights = objective.loss_weights(batch)
                loss = tf.add_n([loss_sums[name] / loss_weights[name] for name in objective.losses])
            gradients: list[tf.Tensor] = tape.gradient(loss, variables)
            return gradients

        self._train = train
        self._batches = itertools.cycle(itertools.islice(batches.batches(), 8))

    def step(self) -> tuple[float, float, float]:
        """Runs a forward and a backward pass; returns its seconds, tokens and examples."""
        batch = next(self._batches)
        tensors = {name: tf.constant(values) for name, values in batch.items()}
        began = time.perf_counter()
        tf.nest.map_structure(lambda gradient: tf.convert_to_tensor(gradient).numpy(), self._train(tensors))
        seconds = time.perf_counter() - began
        examples = (
            batch["next_sentence_weights"].sum() if "next_sentence_weights" in batch else len(batch["input_mask"])
        )
        return seconds, float(batch["input_mask"].sum()), float(examples)


if __name__ == "__main__":
    main()

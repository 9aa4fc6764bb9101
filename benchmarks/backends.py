"""Forward and backward passes of pretraining on any device: Keras on JAX and TensorFlow, beside transformers.

    python benchmarks/backends.py --preset base --length 512 --batch 16 --precision bfloat16

transformers runs with torch.compile. Each contestant runs in its own process, and they take turns round by round, so
that other load on the machine affects all of them alike. Contestants that are not installed are skipped with a message.
MFU counts the same operations for all contestants, those of kbert.training.monitoring.flops, and divides them by the
highest matrix peak that any contestant measured. Additional work in transformers (vocabulary logits of tokens that are
not predicted) does not count. KBERT_JAX_PYTHON is the path of a Python that has JAX, if this Python does not have it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import turns
from turns import matrix_peak, serve_rounds

CONTESTANTS = {
    "jax": "kbert, Keras on JAX",
    "tensorflow": "kbert, Keras on TensorFlow",
    "torch": "transformers, torch.compile",
}
VOCABULARY = 30_522
PEAK_SIZES = {"cpu": 1024, "gpu": 8192}

Step = Callable[[], None]


def make_batch(options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Returns a batch of sequences without padding; tokens are random, and 15 % of them are predicted."""
    rng = np.random.default_rng(0)
    predictions = options.length * 15 // 100
    ids = rng.integers(1000, VOCABULARY, (options.batch, options.length)).astype(np.int32)
    places = np.sort(np.argsort(rng.random(ids.shape), axis=1)[:, :predictions], axis=1).astype(np.int32)
    return {
        "input_word_ids": ids,
        "input_mask": np.ones_like(ids),
        "input_type_ids": np.zeros_like(ids),
        "masked_lm_positions": places,
        "masked_lm_ids": np.take_along_axis(ids, places, axis=1),
        "next_sentence_labels": rng.integers(0, 2, options.batch).astype(np.int32),
    }


# === Contestants: each returns a function that runs one step, and a function that measures the matrix peak ===


def keras_model(options: argparse.Namespace) -> tuple[Any, Callable[[Any, Any], Any]]:
    """Returns kbert's model on the backend of this process, and its loss as a function of outputs and batch."""
    import keras
    from keras import ops

    from kbert.config import preset_config
    from kbert.models.encoder import BertEncoder
    from kbert.models.pretraining import PretrainingModel

    model = PretrainingModel(BertEncoder(preset_config(options.preset, VOCABULARY), precision=options.precision))

    def loss(outputs: Any, batch: Any) -> Any:
        cross_entropy = keras.losses.sparse_categorical_crossentropy
        tokens = cross_entropy(batch["masked_lm_ids"], outputs["mlm_logits"], from_logits=True)
        pairs = cross_entropy(batch["next_sentence_labels"], outputs["nsp_logits"], from_logits=True)
        return ops.mean(tokens) + ops.mean(pairs)

    return model, loss


def run_jax(options: argparse.Namespace) -> tuple[Step, Callable[[], float]]:
    """Runs kbert on JAX, with one compiled function for the loss and its gradients."""
    import jax
    import jax.numpy as jnp

    model, loss = keras_model(options)
    trained = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]
    batch = {name: jnp.asarray(values) for name, values in make_batch(options).items()}

    def of_weights(trained: Any, fixed: Any, batch: Any) -> Any:
        outputs, fixed = model.stateless_call(trained, fixed, batch, training=True)
        return loss(outputs, batch), fixed

    gradients = jax.jit(jax.value_and_grad(of_weights, has_aux=True))
    size = PEAK_SIZES["cpu" if jax.default_backend() == "cpu" else "gpu"]
    factor = jnp.full((size, size), 1 / size, options.precision)
    product = jax.jit(lambda value: value @ factor)
    return (
        lambda: jax.block_until_ready(gradients(trained, fixed, batch)),
        lambda: matrix_peak(lambda: product(factor).block_until_ready(), size),
    )


def run_tensorflow(options: argparse.Namespace) -> tuple[Step, Callable[[], float]]:
    """Runs kbert in a TensorFlow graph, which XLA compiles on a GPU."""
    import tensorflow as tf

    model, loss = keras_model(options)
    gpu = bool(tf.config.list_physical_devices("GPU"))
    weights = [variable.value for variable in model.trainable_variables]
    batch = {name: tf.constant(values) for name, values in make_batch(options).items()}

    @tf.function(jit_compile=gpu)
    def gradients() -> Any:
        with tf.GradientTape() as tape:
            value = loss(model(batch, training=True), batch)
        return value, [tf.convert_to_tensor(gradient) for gradient in tape.gradient(value, weights)]

    size = PEAK_SIZES["gpu" if gpu else "cpu"]
    factor = tf.cast(tf.fill([size, size], 1 / size), options.precision)
    product = tf.function(lambda: tf.matmul(factor, factor)[0, 0])
    return lambda: gradients()[0].numpy(), lambda: matrix_peak(lambda: product().numpy(), size)


def torch_batch(arrays: Mapping[str, np.ndarray], device: str = "cpu") -> dict[str, Any]:
    """Returns a batch as arguments of transformers' BertForPreTraining.

    In packed batches an attention mask keeps the examples of a row apart.
    """
    import torch

    labels = np.full(arrays["input_word_ids"].shape, -100, np.int64)
    weights = arrays.get("masked_lm_weights", np.ones(arrays["masked_lm_ids"].shape))
    rows, places = np.nonzero(weights)
    labels[rows, arrays["masked_lm_positions"][rows, places]] = arrays["masked_lm_ids"][rows, places]
    batch = {
        "input_ids": arrays["input_word_ids"].astype(np.int64),
        "attention_mask": arrays["input_mask"].astype(np.int64),
        "token_type_ids": arrays["input_type_ids"].astype(np.int64),
        "labels": labels,
        "next_sentence_label": arrays["next_sentence_labels"].astype(np.int64),
    }
    if "input_example_ids" in arrays:
        examples = arrays["input_example_ids"]
        # The model adds a mask of four dimensions to the attention scores.
        unseen = np.where(examples[:, None, :, None] == examples[:, None, None, :], 0.0, np.finfo(np.float32).min)
        batch["attention_mask"] = unseen.astype(np.float32)
        batch["position_ids"] = arrays["input_positions"].astype(np.int64)
        batch["next_sentence_label"] = batch["next_sentence_label"][:, 0]  # the model pools only the first token
    return {name: torch.as_tensor(values, device=device) for name, values in batch.items()}


def run_torch(options: argparse.Namespace) -> tuple[Step, Callable[[], float]]:
    """Runs transformers' model with the same two losses."""
    import torch
    from transformers import BertConfig, BertForPreTraining

    from kbert.config import preset_config

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = getattr(torch, options.precision)
    model: Any = BertForPreTraining(BertConfig(**preset_config(options.preset, VOCABULARY).to_dict()))
    compiled = torch.compile(model.to(device).train())
    batch = torch_batch(make_batch(options), device)

    def step() -> None:
        model.zero_grad()
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            loss = compiled(**batch).loss
        loss.backward()
        loss.item()
        if device == "cuda":
            torch.cuda.synchronize()

    size = PEAK_SIZES["gpu" if device == "cuda" else "cpu"]
    factor = torch.full((size, size), 1 / size, dtype=dtype, device=device)
    return step, lambda: matrix_peak(lambda: (factor @ factor)[0, 0].item(), size)


def work(name: str, options: argparse.Namespace) -> None:
    """Runs a contestant in this process."""
    step, peak = {"jax": run_jax, "tensorflow": run_tensorflow, "torch": run_torch}[name](options)
    serve_rounds(step, options.steps, peak)


# === Referee ===


def start_contestant(name: str) -> subprocess.Popen[str] | None:
    """Starts the process of a contestant; returns None if the contestant is not installed."""
    python = os.environ.get("KBERT_JAX_PYTHON", sys.executable) if name == "jax" else sys.executable
    package = {"torch": "transformers"}.get(name, name)
    if python == sys.executable and not all(map(importlib.util.find_spec, (name, package))):
        return None
    return turns.start([python, __file__, *sys.argv[1:], "--work", name], {"KERAS_BACKEND": name})


def main() -> None:
    """Lets the contestants take turns, and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", default="small")
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--steps", type=int, default=3, help="the number of steps of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options)
        return
    from kbert.config import preset_config
    from kbert.training.monitoring.flops import training_flops

    running = {}
    for name in options.only:
        process = start_contestant(name)
        if process is None:
            print(f"{CONTESTANTS[name]}: not installed")
            continue
        if turns.answer(process) is None:
            sys.exit(f"{name} ended with {process.wait()}")
        running[name] = process
    if not running:
        sys.exit("nothing to run")
    results = turns.take_turns(running, options.rounds)
    peak = max(outcome["peak"] for outcomes in results.values() for outcome in outcomes)
    shapes = {feature: values.shape for feature, values in make_batch(options).items()}
    operations = training_flops(preset_config(options.preset, VOCABULARY), shapes)
    rows = []
    for name, outcomes in results.items():
        median = statistics.median(outcome["seconds"] for outcome in outcomes)
        rows.append(
            {
                "contestant": CONTESTANTS[name],
                "tokens_per_second": options.batch * options.length / median,
                "mfu": operations / median / peak,
            }
        )
    print(
        f"{options.preset}, {options.batch} x {options.length}, {options.precision}; matrix peak "
        f"{peak / 1e9:,.0f} GFLOP/s; medians of {options.rounds} rounds"
    )
    for row in rows:
        print(f"{row['contestant']:30} {row['tokens_per_second']:12,.0f} tokens/s   MFU {row['mfu']:6.1%}")
    if options.json:
        settings = {name: value for name, value in vars(options).items() if name not in ("json", "work")}
        options.json.write_text(json.dumps({**settings, "peak": peak, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()

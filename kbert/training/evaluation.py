"""Held-out loss of pretraining: a model on a corpus that it does not learn from, always with the same masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.errors import BundleError, UsageError
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.pretrained.loading import load_model
from kbert.text.tokenizer import Tokenizer
from kbert.training.corpus_tokenizer import check_corpus
from kbert.training.loop.cross_entropy import cross_entropy

_BLOCK = 256
"""Examples that are read and masked at once: a constant, so that no batch size changes the masks."""

Batch = dict[str, np.ndarray]


class HeldOutCorpus:
    """A corpus in a fixed order with fixed masks: the same each time, whatever the batch size.

    Args:
        folder: A folder that `build_corpus` wrote.
        tokenizer: The tokenizer of the model: the corpus must be built with its vocabulary and its settings.
        model: The name of the model's folder, for messages.

    Raises:
        RecordError: The folder is no corpus.
        UsageError: The corpus has another vocabulary, or its text was normalized in another way.
    """

    def __init__(self, folder: PathLike, tokenizer: Tokenizer, *, model: str = "MODEL") -> None:
        # Manifest first: the reader refuses a corpus that is smaller than a batch.
        self._batches = PretrainingBatches(folder, batch_size=1)
        self._batches = PretrainingBatches(folder, batch_size=min(_BLOCK, self.examples))
        check_corpus(self._batches, tokenizer, corpus=folder, model=model)

    @property
    def examples(self) -> int:
        """How many examples there are."""
        return self._batches.manifest.examples

    @property
    def labelled(self) -> bool:
        """Whether examples are pairs of texts with a label."""
        return self._batches.labelled

    def check_length(self, positions: int) -> None:
        """Checks that a model has positions for the longest example.

        Raises:
            UsageError: It has not.
        """
        longest = self._batches.manifest.sequence_length
        if longest > positions:
            raise UsageError(
                f"the held-out corpus has examples of {longest} tokens, the model positions for {positions}; "
                "build the corpus with a smaller one: `kbert corpus build --sequence-length`"
            )

    def fingerprint(self) -> str:
        """Equal for equal corpora."""
        return self._batches.manifest.fingerprint()

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """Yields every example once, in batches; the last one may be smaller."""
        held: Batch = {}
        for block in self._blocks():
            held = {name: np.concatenate([held[name], block[name]]) if held else block[name] for name in block}
            size = len(next(iter(held.values())))
            for start in range(0, size - batch_size + 1, batch_size):
                yield {name: values[start : start + batch_size] for name, values in held.items()}
            held = {name: values[size - size % batch_size :] for name, values in held.items()}
        if len(next(iter(held.values()))):
            yield held

    def _blocks(self) -> Iterator[Batch]:
        left = self.examples
        for block in self._batches.batches():
            # Epochs follow each other in one batch: what is past the first is no part of this.
            yield _with_packed_features({name: values[:left] for name, values in block.items()})
            left -= self._batches.batch_size
            if left <= 0:
                return


def _with_packed_features(batch: Batch) -> Batch:
    """A batch that an encoder of packed rows takes, too: each row has one example."""
    mask = batch[features.INPUT_MASK.name]
    return {
        **batch,
        features.INPUT_POSITIONS.name: np.arange(mask.shape[1], dtype=np.int32) * mask,
        features.INPUT_EXAMPLE_IDS.name: mask,
        features.NEXT_SENTENCE_POSITIONS.name: np.zeros((len(mask), 1), np.int32),
    }


class HeldOutEvaluation:
    """Measures a model on a held-out corpus.

    Sums of examples are added up in double precision, so that the batch size changes nothing beyond the rounding of
    matrix products.

    Args:
        model: A `PretrainingModel` or a `MaskedLanguageModel`, which has no next sentence prediction.
        corpus: What it is measured on.
        batch_size: Examples at a time.
    """

    def __init__(self, model: Any, corpus: HeldOutCorpus, batch_size: int) -> None:
        corpus.check_length(model.encoder.config.max_position_embeddings)
        if batch_size < 1:
            raise UsageError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
        self.model = model
        self.corpus = corpus
        self.batch_size = batch_size
        self._sums = tf.function(self._example_sums, reduce_retracing=True)

    def __call__(self, progress: Callable[[int, int], None] | None = None) -> dict[str, float]:
        """Measures the model as it is now.

        Args:
            progress: Told how many examples are done, of how many.

        Returns:
            mlm_loss, the mean over predictions in nats, mlm_accuracy and perplexity, e to the loss; nsp_loss and
            nsp_accuracy, means over examples, where the model judges pairs and the corpus has them; and loss, the sum
            of the losses.
        """
        totals: dict[str, float] = {}
        done = 0
        for batch in self.corpus.batches(self.batch_size):
            for name, values in self._sums(batch).items():
                totals[name] = totals.get(name, 0.0) + float(values.numpy().astype(np.float64).sum())
            done += len(batch[features.INPUT_WORD_IDS.name])
            if progress:
                progress(done, self.corpus.examples)
        mlm_loss = totals["mlm_loss"] / totals["predictions"]
        metrics = {"loss": mlm_loss, "mlm_loss": mlm_loss, "mlm_accuracy": totals["mlm_right"] / totals["predictions"]}
        metrics["perplexity"] = math.exp(min(mlm_loss, 700.0))
        if "nsp_loss" in totals:
            metrics |= {"nsp_loss": totals["nsp_loss"] / done, "nsp_accuracy": totals["nsp_right"] / done}
            metrics["loss"] += metrics["nsp_loss"]
        return metrics

    def _example_sums(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Sums of each example, float32 [B]."""
        outputs = self.model(batch, training=False)
        ids, weights = batch[features.MASKED_LM_IDS.name], batch[features.MASKED_LM_WEIGHTS.name]
        loss, right = cross_entropy(ids, outputs["mlm_logits"])
        sums = {
            "mlm_loss": tf.reduce_sum(weights * loss, 1),
            "mlm_right": tf.reduce_sum(weights * right, 1),
            "predictions": tf.reduce_sum(weights, 1),
        }
        if "nsp_logits" in outputs and self.corpus.labelled:
            logits = tf.reshape(outputs["nsp_logits"], [-1, 2])  # packed rows have a place for each example
            sums["nsp_loss"], sums["nsp_right"] = cross_entropy(batch[features.NEXT_SENTENCE_LABELS.name], logits)
        return sums


def evaluate_pretraining(
    model: PathLike,
    corpus: PathLike,
    *,
    batch_size: int = 32,
    precision: str = "float32",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Measures a pretrained model on a corpus: masked language model, and next sentence prediction where it has that.

    Args:
        model: A model folder.
        corpus: A folder that `build_corpus` wrote with the model's vocabulary. Its masks are fixed.
        batch_size: Examples at a time; changes nothing beyond rounding.
        precision: "float32" or "bfloat16", of matrix products.
        progress: Told how many examples are done, of how many.

    Returns:
        The metrics of `HeldOutEvaluation`, and "examples".

    Raises:
        BundleError: The folder is no model, or one that does not predict tokens.
        UsageError: The corpus has another vocabulary, or its text was normalized in another way.
    """
    bundle = Bundle.load(resolve(model))
    loaded = load_model(bundle, precision=precision)
    if not hasattr(loaded, "mlm_head"):
        raise BundleError(
            f"{model} must be a model that predicts tokens, as `kbert pretrain` makes them. Received: a "
            f"{bundle.architecture}; measure it with --data"
        )
    held_out = HeldOutCorpus(corpus, bundle.tokenizer, model=str(model))
    metrics = HeldOutEvaluation(loaded, held_out, batch_size)(progress)
    return {"examples": held_out.examples, **metrics}

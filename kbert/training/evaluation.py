"""Validation of pretraining: the loss of a model on a corpus that it is not trained on, with fixed masks."""

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
from kbert.options import with_options
from kbert.pretrained.loading import load_model
from kbert.text.tokenizer import Tokenizer
from kbert.training.corpus_tokenizer import check_corpus
from kbert.training.loop.cross_entropy import cross_entropy
from kbert.training.options import EvaluatePretrainingOptions

_BLOCK = 256
"""The number of examples that are read and masked together. It is constant so that the masks do not depend on the batch
size.
"""

Batch = dict[str, np.ndarray]


class ValidationCorpus:
    """A validation corpus in a fixed order with fixed masks, which do not depend on the batch size.

    Args:
        folder: A folder that `build_corpus` wrote.
        tokenizer: The tokenizer of the model. The corpus must be built with its vocabulary and its settings.
        model: The name of the model's folder, for messages.

    Raises:
        RecordError: The folder is not a corpus.
        UsageError: The corpus has another vocabulary, or its text was normalized in another way.
    """

    def __init__(self, folder: PathLike, tokenizer: Tokenizer, *, model: str = "MODEL") -> None:
        # The first reader is for the manifest: the batch size must not exceed the number of examples.
        self._batches = PretrainingBatches(folder, batch_size=1)
        self._batches = PretrainingBatches(folder, batch_size=min(_BLOCK, self.examples))
        check_corpus(self._batches, tokenizer, corpus=folder, model=model)

    @property
    def examples(self) -> int:
        """The number of examples in the corpus."""
        return self._batches.manifest.examples

    @property
    def labelled(self) -> bool:
        """Whether the examples are pairs of texts with a label."""
        return self._batches.labelled

    def check_length(self, positions: int) -> None:
        """Checks that a model has enough positions for the longest example.

        Args:
            positions: The number of positions of the model.

        Raises:
            UsageError: The model has fewer positions than an example has tokens.
        """
        longest = self._batches.manifest.sequence_length
        if longest > positions:
            raise UsageError(
                f"the validation corpus has examples of {longest} tokens, but the model has only {positions} "
                "positions; build the corpus with a smaller length: `kbert corpus build --sequence-length`"
            )

    def fingerprint(self) -> str:
        """Returns a digest of the corpus, which is equal for equal corpora."""
        return self._batches.manifest.fingerprint()

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """Yields every example once, in batches; the last batch may be smaller."""
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
            # The last block also holds examples of the second epoch, which are dropped.
            yield _with_packed_features({name: values[:left] for name, values in block.items()})
            left -= self._batches.batch_size
            if left <= 0:
                return


def _with_packed_features(batch: Batch) -> Batch:
    """Adds the features that an encoder of packed rows needs; each row holds one example."""
    mask = batch[features.INPUT_MASK.name]
    return {
        **batch,
        features.INPUT_POSITIONS.name: np.arange(mask.shape[1], dtype=np.int32) * mask,
        features.INPUT_EXAMPLE_IDS.name: mask,
        features.NEXT_SENTENCE_POSITIONS.name: np.zeros((len(mask), 1), np.int32),
    }


class PretrainingEvaluation:
    """Evaluates a model on a validation corpus.

    The sums of the examples are added in double precision, so that the batch size changes only the rounding of matrix
    products.

    Args:
        model: A `PretrainingModel` or a `MaskedLanguageModel`, which has no next sentence prediction.
        corpus: The validation corpus.
        batch_size: The number of examples in a batch.

    Raises:
        UsageError: The model has fewer positions than an example has tokens, or the batch size is below 1.
    """

    def __init__(self, model: Any, corpus: ValidationCorpus, batch_size: int) -> None:
        corpus.check_length(model.encoder.config.max_position_embeddings)
        if batch_size < 1:
            raise UsageError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
        self.model = model
        self.corpus = corpus
        self.batch_size = batch_size
        self._sums = tf.function(self._example_sums, reduce_retracing=True, autograph=False)

    def __call__(self, progress: Callable[[int, int], None] | None = None) -> dict[str, float]:
        """Evaluates the model with its current weights.

        Args:
            progress: A function that is called with the number of finished examples and the number of all examples.

        Returns:
            mlm_loss (the mean over predictions, in nats), mlm_accuracy, perplexity (e to the power of mlm_loss), and
            loss (the sum of the losses). If the model has next sentence prediction and the corpus has pairs, also
            nsp_loss and nsp_accuracy (means over examples).
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
        """Returns the sums of each example, float32 [B]."""
        outputs = self.model(batch, training=False)
        ids, weights = batch[features.MASKED_LM_IDS.name], batch[features.MASKED_LM_WEIGHTS.name]
        loss, right = cross_entropy(ids, outputs["mlm_logits"])
        sums = {
            "mlm_loss": tf.reduce_sum(weights * loss, 1),
            "mlm_right": tf.reduce_sum(weights * right, 1),
            "predictions": tf.reduce_sum(weights, 1),
        }
        if "nsp_logits" in outputs and self.corpus.labelled:
            logits = tf.reshape(outputs["nsp_logits"], [-1, 2])  # a packed model returns [B, E, 2], here with E = 1
            sums["nsp_loss"], sums["nsp_right"] = cross_entropy(batch[features.NEXT_SENTENCE_LABELS.name], logits)
        return sums


@with_options(EvaluatePretrainingOptions)
def evaluate_pretraining(
    model: PathLike,
    corpus: PathLike,
    *,
    options: EvaluatePretrainingOptions,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Evaluates the masked language model, and the next sentence prediction if there is one, of a model on a corpus.

    Args:
        model: A model folder.
        corpus: A folder that `build_corpus` wrote with the model's vocabulary. Its masks are fixed.
        options: All of these options in one object.
        progress: A function that is called with the number of finished examples and the number of all examples.

    Returns:
        The metrics of `PretrainingEvaluation`, and "examples", the number of examples.

    Raises:
        BundleError: The folder is not a model folder, or its model does not predict tokens.
        UsageError: The corpus has another vocabulary, or its text was normalized in another way.
    """
    bundle = Bundle.load(resolve(model))
    loaded = load_model(bundle, precision=options.precision)
    if not hasattr(loaded, "mlm_head"):
        raise BundleError(
            f"{model} must be a model that predicts tokens, as `kbert pretrain` makes them. Received: a "
            f"{bundle.architecture}; measure it with --data"
        )
    held_out = ValidationCorpus(corpus, bundle.tokenizer, model=str(model))
    metrics = PretrainingEvaluation(loaded, held_out, options.batch_size)(progress)
    return {"examples": held_out.examples, **metrics}

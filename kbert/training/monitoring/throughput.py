"""The throughput of training: tokens per second without padding, and model FLOPs utilization (MFU)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kbert import features
from kbert.config import BertConfig
from kbert.training.monitoring.flops import training_flops

TIMINGS = ("seconds", "tokens_per_second", "mfu")
"""The columns of metrics.jsonl that depend on time; two runs with the same options differ only in these."""


class Throughput:
    """Measures the work of batches and the throughput of a run.

    Args:
        config: The configuration of the model.
        peak: The operations per second that the devices reach on matrix products; None if it is unknown.
        skip_padding: Whether the model skips padding.
        pooled_only: Whether the model reads only the pooled output of the encoder.
    """

    def __init__(
        self,
        config: BertConfig,
        peak: float | None = None,
        *,
        skip_padding: bool = False,
        pooled_only: bool = False,
    ) -> None:
        self.config = config
        self.peak = peak
        self.skip_padding = skip_padding
        self.pooled_only = pooled_only

    def work(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the number of tokens without padding and the number of operations of a batch, float64 [2]."""
        shapes = {name: values.shape for name, values in batch.items()}
        tokens = int(batch[features.INPUT_MASK.name].sum())
        used: dict[str, int] = {}
        if self.skip_padding:
            used["tokens"] = tokens
            if features.MASKED_LM_WEIGHTS.name in batch:
                used["predictions"] = int(np.count_nonzero(batch[features.MASKED_LM_WEIGHTS.name]))
        operations = training_flops(self.config, shapes, **used, pooled_only=self.pooled_only)
        return np.array([tokens, operations], np.float64)

    def timing(self, work: np.ndarray, seconds: float) -> dict[str, float]:
        """Returns the metrics in TIMINGS for work that took `seconds`; "mfu" is a fraction from 0 to 1."""
        tokens, operations = work.tolist()
        timing = {"seconds": seconds, "tokens_per_second": tokens / seconds}
        return timing if self.peak is None else timing | {"mfu": operations / seconds / self.peak}


class TimeOnly(Throughput):
    """Measures only time, in a private run: the numbers of tokens would tell which rows were drawn."""

    def work(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns zeros."""
        return np.zeros(2)

    def timing(self, work: np.ndarray, seconds: float) -> dict[str, float]:
        """Returns the "seconds"."""
        return {"seconds": seconds}

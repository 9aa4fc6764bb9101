"""Counts the work of steps: tokens without padding, and arithmetic against the machine's peak."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kbert import features
from kbert.config import BertConfig
from kbert.training.monitoring.flops import training_flops

TIMINGS = ("seconds", "tokens_per_second", "mfu")
"""The columns of metrics.jsonl that measure time: two equal runs differ in them, and in nothing else."""


class Meter:
    """What the batches of a run cost.

    Args:
        config: The shape of the model.
        peak: Operations a second that the devices reach on matrix products; None: unknown.
        skip_padding: Whether the model works on tokens alone.
    """

    def __init__(self, config: BertConfig, peak: float | None = None, *, skip_padding: bool = False) -> None:
        self.config = config
        self.peak = peak
        self.skip_padding = skip_padding

    def work(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        """[tokens without padding, operations] of a batch, float64."""
        shapes = {name: values.shape for name, values in batch.items()}
        tokens = int(batch[features.INPUT_MASK.name].sum())
        used: dict[str, int] = {}
        if self.skip_padding:
            used["tokens"] = tokens
            if features.MASKED_LM_WEIGHTS.name in batch:
                used["predictions"] = int(np.count_nonzero(batch[features.MASKED_LM_WEIGHTS.name]))
        return np.array([tokens, training_flops(self.config, shapes, **used)], np.float64)

    def timing(self, work: np.ndarray, seconds: float) -> dict[str, float]:
        """The TIMINGS of work that took so many seconds; model FLOPs utilization is a part, 0 to 1."""
        tokens, operations = work.tolist()
        timing = {"seconds": seconds, "tokens_per_second": tokens / seconds}
        return timing if self.peak is None else timing | {"mfu": operations / seconds / self.peak}

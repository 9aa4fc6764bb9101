"""Correlation coefficients, computed by scipy."""

from __future__ import annotations

import numpy as np


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Returns Pearson's correlation of two float arrays [B]; 0 if an array is constant, where it is not defined."""
    from scipy import stats

    return 0.0 if _is_constant(first, second) else float(stats.pearsonr(first, second).statistic)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Returns Spearman's correlation of two float arrays [B]; 0 if an array is constant, where it is not defined."""
    from scipy import stats

    return 0.0 if _is_constant(first, second) else float(stats.spearmanr(first, second).statistic)


def _is_constant(*arrays: np.ndarray) -> bool:
    return any(np.ptp(values) == 0 for values in arrays)

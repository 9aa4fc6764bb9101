"""The text of predictions, as `kbert predict` prints it and writes it to files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kbert.prediction.formats import conll_lines
from kbert.prediction.options import PredictToFileOptions
from kbert.prediction.predictor import Predictor


def prediction_line(loaded: Predictor, prediction: Mapping[str, Any], output_format: str, keep: Iterable[str]) -> str:
    """Returns a prediction as text, without the final line break.

    Args:
        loaded: The model of the prediction.
        prediction: A prediction of `Predictor.predict`.
        output_format: One of kbert.prediction.options.OUTPUT_FORMATS.
        keep: The columns that were copied to the prediction.
    """
    if output_format == "json":
        return json.dumps(prediction, ensure_ascii=False)
    if output_format == "conll":
        return "\n".join(conll_lines(prediction))
    return "\t".join([*(str(prediction[name]) for name in keep), loaded.task.text_line(prediction)])


def predictions_text(
    loaded: Predictor, predictions: Iterable[Mapping[str, Any]], options: PredictToFileOptions
) -> bytes:
    """Returns predictions as the bytes of a file, with a line break after each."""
    lines = (prediction_line(loaded, each, options.output_format, options.keep_columns) for each in predictions)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")

"""The text of predictions, as `kbert predict` prints it and writes it to files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kbert.prediction.formats import conll_lines
from kbert.prediction.options import PredictToFileOptions
from kbert.prediction.predictor import Predictor

_SPACES = {ord(mark): " " for mark in "\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"}
"""Replaces tabs and line breaks by spaces, so that offsets stay the same."""
_LINE_BREAKS = {mark: space for mark, space in _SPACES.items() if mark != ord("\t")}


def prediction_line(loaded: Predictor, prediction: Mapping[str, Any], output_format: str, keep: Iterable[str]) -> str:
    """Returns a prediction as text, without the final line break.

    In the format "text", tabs and line breaks within a text or a kept column become spaces, since a prediction is one
    line whose parts are separated by tabs.

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
    inputs = {text.column: _on_one_line(prediction[text.column]) for text in loaded.task.text_inputs}
    line = loaded.task.text_line({**prediction, **inputs}).translate(_LINE_BREAKS)
    return "\t".join([*(str(prediction[name]).translate(_SPACES) for name in keep), line])


def _on_one_line(value: Any) -> Any:
    """Returns a text, or the texts of a list, without tabs and line breaks; other values are returned unchanged."""
    if isinstance(value, list):
        return [_on_one_line(each) for each in value]
    return value.translate(_SPACES) if isinstance(value, str) else value


def predictions_text(
    loaded: Predictor, predictions: Iterable[Mapping[str, Any]], options: PredictToFileOptions
) -> bytes:
    """Returns predictions as the bytes of a file, with a line break after each."""
    lines = (prediction_line(loaded, each, options.output_format, options.keep_columns) for each in predictions)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")

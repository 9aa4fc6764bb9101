"""The rows on which the ranges of activations are measured, for weights and activations in int8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kbert.export.options import ExportLitertOptions
from kbert.export.phone.code_point_model import code_points
from kbert.export.phone.row_model import rows_of
from kbert.prediction.predictor import Predictor
from kbert.tasks.protocol.training_rows import as_strings
from kbert.text.graph.encoder import GraphEncoder

CALIBRATION_ROWS = 128
"""The number of rows; more rows hardly change the ranges."""

Row = Mapping[str, np.ndarray]


class CalibrationTexts:
    """The first texts of a file, which is read with the columns of fine-tuning.

    Args:
        loaded: The model that is exported.
        options: The options of the export. The file is that of `calibration`, or else of `validation`, of which up to
            `skip_bad` rows are skipped. Only int8 needs texts.

    Raises:
        DataError: The file is unreadable or empty.
    """

    def __init__(self, loaded: Predictor, options: ExportLitertOptions) -> None:
        self._loaded = loaded
        self._columns: list[list[Any]] = []
        if options.quantize != "int8":
            return
        if options.calibration is not None:
            columns = loaded.read_inputs(options.calibration)
        else:
            examples, _ = loaded.labelled_examples(options.validation, skip_bad=options.skip_bad)
            columns = list(loaded.task.texts_of(examples).values())
        self._columns = [column[:CALIBRATION_ROWS] for column in columns]

    def token_rows(self, length: int) -> list[Row]:
        """Returns the inputs of a `RowModel` for rows of `length` tokens."""
        if not self._columns:
            return []
        task = self._loaded.task
        texts = {text.name: as_strings(column) for text, column in zip(task.text_inputs, self._columns, strict=True)}
        encode = GraphEncoder(self._loaded.text_model.encode.tokenizer, length)
        encoded = task.encode(encode, task.add_prompts(texts))
        batch = {feature.name: encoded[feature.name].numpy() for feature in task.model_features}
        return _single_rows(rows_of(task, batch, length))

    def code_point_rows(self, names: Sequence[str], text_length: int) -> list[Row]:
        """Returns the inputs of a `CodePointModel`.

        Args:
            names: The names of the inputs.
            text_length: The number of code points of a text.
        """
        if not self._columns:
            return []
        # An input that is a list, such as the choices, is asked for one by one; the first ones are enough.
        texts = [[value if isinstance(value, str) else value[0] for value in column] for column in self._columns]
        return _single_rows({name: code_points(column, text_length) for name, column in zip(names, texts, strict=True)})


def _single_rows(rows: Mapping[str, np.ndarray]) -> list[Row]:
    count = min(CALIBRATION_ROWS, len(next(iter(rows.values()))))
    return [{name: value[index : index + 1] for name, value in rows.items()} for index in range(count)]

"""Predicts the rows of a file as an Apache Beam pipeline (extra `beam`), with the same output as one machine.

The machine that starts the job counts the rows, and joins the results in the end. Each worker loads the model once, and
predicts ranges of rows, which it writes to files in the folder OUTPUT.parts:

    ranges of rows → a file with the predictions of each range → OUTPUT

A worker reads the input from its beginning to its range, since most formats can only be read so; reading a row takes a
small part of the time of its prediction. All workers must see the model, the input and the folder of the output under
the same paths as the machine that starts the job.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbert import files
from kbert.beam.pipeline import import_beam, run_pipeline
from kbert.errors import KbertError, UsageError
from kbert.files import PathLike
from kbert.model_folder.hub import PREFIX as HUB
from kbert.prediction import predictor
from kbert.prediction.loading import load
from kbert.prediction.options import LoadOptions, PredictOptions, PredictToFileOptions
from kbert.prediction.prediction_text import predictions_text
from kbert.prediction.predictor import Predictor
from kbert.runtime.prepare import prepare_runtime
from kbert.sources.named_datasets import is_named_dataset

_PARTS_AT_ONCE = 4
"""The number of parts (see `Predictor.predict_parts`) of a range, so that a long file gives work to many workers."""


@dataclasses.dataclass(frozen=True)
class PredictionJob:
    """The description of the predictions that is sent to every worker.

    Args:
        model: The model, as in `kbert.load`.
        input: The file with the rows.
        options: The options of the command.
        reading: The columns and the options that describe the file.
        folder: The folder of the files of the ranges.
        size: The number of rows of a range.
    """

    model: str
    input: str
    options: PredictToFileOptions
    reading: Mapping[str, Any]
    folder: Path
    size: int

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "loaded"}

    @functools.cached_property
    def loaded(self) -> Predictor:
        """The model, loaded once per process."""
        prepare_runtime()
        return load(self.model, options=self.options.narrowed(LoadOptions))

    def path(self, number: int) -> Path:
        """Returns the file with the predictions of a range."""
        return self.folder / f"{number:08d}"

    def write(self, number: int) -> int:
        """Writes the predictions of a range to its file, and returns the number of rows."""
        parts = self.loaded.predict_parts(
            self.input,
            options=self.options.narrowed(PredictOptions),
            skip=number * self.size,
            stop=(number + 1) * self.size,
            **self.reading,
        )
        count = 0
        with files.atomic_file(self.path(number)) as handle:
            for part in parts:
                handle.write(predictions_text(self.loaded, part, self.options))
                count += len(part)
        return count


def predict_on_beam(model: PathLike, input: PathLike, options: PredictToFileOptions, reading: Mapping[str, Any]) -> int:
    """Writes the predictions for the rows of a file to `options.output`, and returns the number of rows.

    Args:
        model: A model that `kbert.load` accepts.
        input: The file with the rows.
        options: The options of the command, with a runner.
        reading: The columns and the options that describe the file.

    Raises:
        UsageError: An option is invalid, or OUTPUT.parts exists.
        DataError: The input is unreadable or empty.
        KbertError: The job failed, or the input changed meanwhile.
    """
    output = Path(options.output).absolute()
    folder = output.with_name(f"{output.name}.parts")
    if folder.exists():
        raise UsageError(
            f"expected no folder {folder}, since the job writes its parts there. Received: an existing one; if no "
            "other job is writing there, remove it"
        )
    size = predictor.ROWS_AT_ONCE * _PARTS_AT_ONCE
    job = PredictionJob(_absolute(model), _absolute(input), options, dict(reading), folder, size)
    rows = job.loaded.count_rows(job.input, **reading)
    ranges = range(-(-rows // size))
    folder.mkdir(parents=True)
    try:
        _run(job, ranges)
        counted = int((folder / "rows").read_text())
        if counted != rows:
            raise KbertError(f"{input}: expected {rows:,} rows, as when the job began. Received: {counted:,}")
        with files.atomic_file(output) as whole:
            for number in ranges:
                with open(job.path(number), "rb") as part:
                    shutil.copyfileobj(part, whole)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def _absolute(place: PathLike) -> str:
    """Returns the absolute path of a file; names of datasets and of models of the hub stay as they are."""
    name = os.fspath(place)
    return name if is_named_dataset(name) or name.startswith(HUB) else os.path.abspath(name)


def _run(job: PredictionJob, ranges: range) -> None:
    options = job.options
    run_pipeline(str(options.runner), options.runner_options, lambda pipeline: _add_steps(pipeline, job, ranges))


def _add_steps(pipeline: Any, job: PredictionJob, ranges: range) -> None:
    beam = import_beam()
    _ = (
        pipeline
        | "Ranges of rows" >> beam.Create(list(ranges))
        | "Spread the ranges" >> beam.Reshuffle()
        | "Predict" >> beam.Map(job.write)
        | "Rows of all ranges" >> beam.CombineGlobally(sum)
        | "Finish" >> beam.Map(functools.partial(_finish, job.folder))
    )


def _finish(folder: Path, rows: int) -> None:
    with files.atomic_file(folder / "rows") as handle:
        handle.write(str(rows).encode())

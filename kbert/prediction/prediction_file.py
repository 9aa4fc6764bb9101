"""Writes predictions to a file, part by part, so that an interrupted command can be continued.

The predictions of each part of the input are appended to OUTPUT.partial. OUTPUT.progress.json then records how many
rows and bytes are complete. At the end OUTPUT.partial is renamed to OUTPUT. A continued command cuts OUTPUT.partial to
the recorded number of bytes and skips the recorded number of rows, so the file is the same to the byte as that of a
command that was not interrupted.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from kbert import files
from kbert.beam.pipeline import check_runner
from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.model_folder.weights_digest import weights_sha256
from kbert.options import option_error, with_options
from kbert.prediction.beam_job import predict_on_beam
from kbert.prediction.loading import load
from kbert.prediction.options import LoadOptions, PredictOptions, PredictToFileOptions
from kbert.prediction.prediction_text import predictions_text
from kbert.prediction.unknown_texts import UnknownTexts
from kbert.sources.content import content_sha256

_CONTENT = ("model", "input")
"""What is compared by its content when a command is continued, so it may have moved."""


@with_options(PredictToFileOptions)
def predict_to_file(
    model: PathLike,
    input: PathLike,
    *,
    options: PredictToFileOptions,
    progress: Callable[[int], None] | None = None,
    **reading: Any,
) -> int:
    r"""Writes the predictions for the rows of a file, in bounded memory.

    Args:
        model: A model that `kbert.load` accepts.
        input: A table, a file with one text per line, or a file in a format of the task.
        options: All of these options in one object.
        progress: A function that is called with the number of rows that are done; never with a runner of Beam.
        reading: The columns of a table, as `text_column` and so on, and the options of the task that describe the file,
            such as `delimiter`. The defaults are those used in fine-tuning.

    Returns:
        The number of rows.

    Raises:
        KbertError: The job on Beam failed.
        UsageError: The file exists, an interrupted command was a different one, or an option is invalid.
        DataError: The input is unreadable or empty, or a column is missing.
        BundleError: The model is damaged, or has no task.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("films.txt").write_text("a fine film\na dull film\n")
        >>> kbert.predict_to_file("RUN", "films.txt", output="answers.jsonl", output_format="json")
        2
    """
    output = Path(options.output)
    if output.exists():
        raise option_error(
            lambda spell: (
                f"{spell('output')} must name a new file. Received: {output}, which exists; remove it, or name another"
            )
        )
    if files.is_compressed(output):
        raise option_error(
            lambda spell: (
                f"{spell('output')} is written without compression. Received: {output}; leave {output.suffix} out"
            )
        )
    if options.runner is not None:
        check_runner(options.runner, options.runner_options)
        return predict_on_beam(model, input, options, reading)
    journal = _Journal(output, _command(model, input, options, reading))
    done = journal.open(resume=options.resume)
    loaded = load(model, options=options.narrowed(LoadOptions))
    parts = loaded.predict_parts(input, options=options.narrowed(PredictOptions), skip=done, **reading)
    unknown = UnknownTexts(loaded)
    output.parent.mkdir(parents=True, exist_ok=True)
    with journal.writing() as handle:
        for part in parts:
            handle.write(predictions_text(loaded, part, options))
            done += len(part)
            unknown.add(part)
            journal.record(done, handle)
            if progress:
                progress(done)
    journal.finish()
    unknown.tell()
    return done


def _command(
    model: PathLike, input: PathLike, options: PredictToFileOptions, reading: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what must be the same when the command is continued."""
    settings = {
        name: value
        for name, value in options.remembered().items()
        if name not in ("output", "resume", "runner", "runner_options")
    }
    content = dict(zip(_CONTENT, (weights_sha256(model), content_sha256(input, "input")), strict=True))
    return {**content, **settings, **{name: str(value) for name, value in sorted(reading.items())}}


class _Journal:
    """The progress of a command that writes predictions.

    Args:
        output: The file to write.
        command: What must be the same when the command is continued, as JSON.
    """

    def __init__(self, output: Path, command: Mapping[str, Any]) -> None:
        self.partial = output.with_name(f"{output.name}.partial")
        self.bytes = 0
        """The number of bytes of `partial` that are complete."""
        self._output = output
        self._path = output.with_name(f"{output.name}.progress.json")
        self._command = command

    def open(self, *, resume: bool) -> int:
        """Returns the number of rows that an interrupted command has done, or 0 if there is no such command.

        Raises:
            UsageError: A command was interrupted, and `resume` is False, or the command was a different one.
            DataError: The files of the interrupted command are damaged.
        """
        if not self._path.exists():
            return 0
        if not resume:
            raise option_error(
                lambda spell: (
                    f"{self._output} was begun by a command that was interrupted. Received: the same output without "
                    f"{spell('resume')}; give it to continue, or remove {self.partial.name} and {self._path.name}"
                )
            )
        state = files.read_json(self._path, DataError)
        try:
            command, rows, self.bytes = state["command"], int(state["rows"]), int(state["bytes"])
            complete = self.partial.stat().st_size >= self.bytes
        except (KeyError, TypeError, ValueError, OSError):
            complete = False
        if not complete:
            raise DataError(f"the progress is damaged; remove {self.partial.name} and {self._path.name}", self._path)
        for name in {**command, **self._command}:
            if command.get(name) != self._command.get(name):
                if name in _CONTENT:
                    raise UsageError(
                        f"{self._output} was begun with another content of the {name}; continue with the same. "
                        "Received: a changed one"
                    )
                raise UsageError(
                    f"{self._output} was begun with {name}={command.get(name)!r}; continue with the same command. "
                    f"Received: {name}={self._command.get(name)!r}"
                )
        return rows

    @contextlib.contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """Opens `partial` after its complete bytes. If the block raises before anything is recorded, removes it."""
        try:
            with open(self.partial, "r+b" if self.bytes else "wb") as handle:
                handle.truncate(self.bytes)
                handle.seek(self.bytes)
                yield handle
        finally:
            if not self._path.exists():
                self.partial.unlink(missing_ok=True)

    def record(self, rows: int, handle: Any) -> None:
        """Records that the predictions of `rows` rows have been written to `handle`."""
        handle.flush()
        os.fsync(handle.fileno())
        files.write_json(self._path, {"command": self._command, "rows": rows, "bytes": handle.tell()})

    def finish(self) -> None:
        """Gives the complete file its name."""
        os.replace(self.partial, self._output)
        self._path.unlink(missing_ok=True)

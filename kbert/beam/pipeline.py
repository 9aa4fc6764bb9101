"""Makes and runs Apache Beam pipelines, with errors of one line."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from typing import Any

from kbert.beam.options import RUNNERS
from kbert.errors import KbertError, UsageError
from kbert.runtime.held_output import no_log_warnings


def check_runner(runner: str, options: Sequence[str]) -> None:
    """Checks, before any work, that Beam is installed and accepts the options.

    Raises:
        UsageError: Beam is not installed, or the runner or an option is invalid.
    """
    if runner not in RUNNERS:
        raise UsageError(f"runner must be one of {', '.join(RUNNERS)}. Received: {runner}")
    _pipeline(runner, options)


def run_pipeline(runner: str, options: Sequence[str], add_steps: Callable[[Any], None]) -> None:
    """Runs a pipeline until it ends.

    Args:
        runner: The Beam runner, one of RUNNERS.
        options: The options for Beam.
        add_steps: A function that adds the steps to a `beam.Pipeline`.

    Raises:
        UsageError: Beam is not installed, or an option is invalid.
        KbertError: The job failed.
    """
    pipeline = _pipeline(runner, options)
    try:
        add_steps(pipeline)
        pipeline.run().wait_until_finish()
    except KbertError:
        raise
    except Exception as problem:
        said = [line.strip() for line in str(problem).splitlines() if line.strip()]
        raise KbertError(f"the job on {runner} failed: {(said or [type(problem).__name__])[-1][:500]}") from problem


def import_beam() -> Any:
    """Returns the module `apache_beam`.

    Raises:
        UsageError: Beam is not installed, or importing it failed.
    """
    try:
        with no_log_warnings():  # Beam logs each optional library that is missing
            import apache_beam
            import apache_beam.options.pipeline_options
    except ImportError as problem:
        if problem.name != "apache_beam":
            raise UsageError(f"--runner: importing apache_beam failed: {problem}") from None
        raise UsageError("--runner needs apache-beam: pip install 'kbert[beam]'") from None
    return apache_beam


def _pipeline(runner: str, options: Sequence[str]) -> Any:
    beam = import_beam()
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            given = beam.options.pipeline_options.PipelineOptions(list(options))
            given.get_all_options()  # otherwise they are checked only when the job runs
            return beam.Pipeline(runner=runner, options=given)
    except SystemExit:  # raised by argparse
        said = stderr.getvalue().strip().splitlines()
        raise UsageError(f"{runner} rejects the options {' '.join(options)}: {said[-1] if said else ''}") from None
    except Exception as problem:
        raise UsageError(f"starting {runner} failed: {str(problem).strip().splitlines()[-1]}") from None

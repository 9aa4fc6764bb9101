"""The report of one run, or of several side by side, whether finished, stopped or still running."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kbert import files
from kbert.options import with_options
from kbert.report.charts import line_chart
from kbert.report.options import WriteReportOptions
from kbert.report.page import Html, element, escape, join, note, page, section, table
from kbert.report.results import results_of
from kbert.report.run_folder import Run
from kbert.report.scores import scores_of
from kbert.training.monitoring.progress import describe_seconds
from kbert.version import __version__

_CHARTS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("Loss", ("loss",)),
    ("Accuracy and other scores", ("accuracy", "f1", "precision", "recall", "exact_match", "correlation")),
    ("Perplexity", ("perplexity",)),
    ("Learning rate", ("learning_rate",)),
    ("Gradient norm", ("gradient_norm",)),
    ("Tokens a second, without padding", ("tokens_per_second",)),
    ("Model FLOPs utilization, a part of the matrix peak", ("mfu",)),
)
"""Titles, and the endings of the names of their metrics; each other metric has a chart of its own."""
_EXACT = ("Learning rate",)
"""The titles of the charts that are not smoothed."""
_NO_CURVES = ("step", "seconds")


@with_options(WriteReportOptions)
def write_report(
    runs: Sequence[files.PathLike],
    *,
    options: WriteReportOptions,
    progress: Callable[[int, int], object] | None = None,
) -> Path:
    """Writes a page about one run, or about several side by side.

    Args:
        runs: The folders of runs of `kbert pretrain` or `kbert finetune`, finished or not.
        options: All of these options in one object.
        progress: A function that is called with the number of texts that are explained, and the number of all texts of
            a run.

    Returns:
        The path of the page.

    Raises:
        UsageError: A folder is not that of a run, or one of its files is damaged; or with `explain`, the run has not
            ended, or its answers cannot be explained.
        DataError: The file of `explain` is unreadable, or has a label that did not occur in training.

    Example:
        >>> kbert.write_report(["RUN"], output="report.html")
        PosixPath('report.html')
    """
    path = Path(options.output or Path(runs[0] if len(runs) == 1 else ".", "report.html"))
    found = _load(runs)
    explained: list[Html] = []
    if options.explain is not None:
        from kbert.report.explained_run import explained_runs

        explained = explained_runs(runs, found, options.explain, options.rows, progress)
    files.write_text(path, _page(found, explained))
    return path


def run_report(folders: Sequence[files.PathLike]) -> str:
    """Makes a page about runs: curves, scores, samples, settings, environment.

    Args:
        folders: The folders of runs of `kbert pretrain` or `kbert finetune`.

    Returns:
        The page as HTML, which needs no other file.

    Raises:
        UsageError: A folder is not that of a run, or one of its files is damaged.

    Example:
        >>> from kbert.report.run import run_report
        >>> run_report(["RUN"]).splitlines()[0]
        '<!DOCTYPE html>'
    """
    return _page(_load(folders))


def _load(folders: Sequence[files.PathLike]) -> list[Run]:
    return _with_distinct_names([Run.load(folder) for folder in folders])


def _page(runs: Sequence[Run], explained: Sequence[Html] = ()) -> str:
    return page(
        " and ".join(f"{run.settings.get('command', 'run')} {run.name}" for run in runs),
        *results_of(runs),
        section("At a glance", _glance(runs)),
        *(part for run in runs for part in _scores(run, named=len(runs) > 1)),
        *(part for run in runs for part in _samples(run, named=len(runs) > 1)),
        *explained,
        section("Curves", *_curves(runs))
        if any(run.rows for run in runs)
        else section("Curves", note("There is no row yet.")),
        section("Settings", _comparison([_flat(run.settings) for run in runs], runs)),
        section("Environment", _comparison([_flat(run.environment) for run in runs], runs)),
        footer=f"kbert {__version__}",
    )


def _with_distinct_names(runs: Sequence[Run]) -> list[Run]:
    names = [run.name for run in runs]
    return [
        run if names.count(run.name) == 1 else dataclasses.replace(run, name=f"{run.name} ({number})")
        for number, run in enumerate(runs, 1)
    ]


def _glance(runs: Sequence[Run]) -> Html:
    rows: list[list[Any]] = [
        ["Command", *(run.settings.get("command") for run in runs)],
        ["Model", *(run.settings.get("model") for run in runs)],
        ["State", *(run.state for run in runs)],
        ["Time", *(describe_seconds(sum(run.curve("seconds")[1])) for run in runs)],
        ["Tokens a second, median", *(_rounded(run.middle("tokens_per_second")) for run in runs)],
        ["Model FLOPs utilization, median", *(_share(run.middle("mfu")) for run in runs)],
    ]
    for metric in _metrics(runs):
        if metric.endswith(("loss", "accuracy", "perplexity")):
            rows.append([f"{_words(metric)}, last", *(run.last(metric) for run in runs)])
    return table(rows, header=["", *(run.name for run in runs)] if len(runs) > 1 else None)


def _metrics(runs: Iterable[Run]) -> list[str]:
    """Returns the names of all metrics, in the order of the rows."""
    names = dict.fromkeys(name for run in runs for row in run.rows for name in row)
    return [name for name in names if name not in _NO_CURVES]


def _curves(runs: Sequence[Run]) -> list[Html]:
    left = _metrics(runs)
    charts = []
    for title, endings in _CHARTS:
        charts.append((title, [name for name in left if name.endswith(endings)]))
        left = [name for name in left if name not in charts[-1][1]]
    charts += [(_words(name), [name]) for name in left]
    parts = []
    for title, names in charts:
        series = {
            " ".join([*([run.name] if len(runs) > 1 else []), *([_words(name)] if len(names) > 1 else [])]): curve
            for name in names
            for run in runs
            if (curve := run.curve(name))[0]
        }
        if series:
            parts += [element("h3", title), line_chart(series, title=title, x_label="step", smooth=title not in _EXACT)]
    return parts


def _scores(run: Run, *, named: bool) -> list[Html]:
    metrics = run.outcome.get("metrics")
    if not isinstance(metrics, dict) or run.outcome.get("kind") == "pretraining":
        return []
    return [section(f"Validation of {run.name}" if named else "Validation", *scores_of(metrics | run.worst))]


def _samples(run: Run, *, named: bool) -> list[Html]:
    """Shows the first and the last samples."""
    if not run.samples:
        return []
    rows = [run.samples[0], *run.samples[-1:]] if len(run.samples) > 1 else run.samples
    parts: list[Html] = [note("Marked: what the model fills in; the small word is what stood there.")]
    for row in rows:
        parts.append(element("h3", f"Step {row['step']:,}"))
        parts += [element("p", _sample(words), class_="example") for words in row.get("samples", [])]
    return [section(f"Samples of {run.name}" if named else "Samples", *parts)]


def _sample(words: Iterable[Any]) -> Html:
    shown: list[Any] = []
    for word in words:
        if isinstance(word, Mapping):
            right = word.get("predicted") == word.get("expected")
            inner = [word.get("predicted")] + ([] if right else [" ", element("small", word.get("expected"))])
            word = element("mark", join(inner), class_="kept" if right else "random")
        shown += [escape(word), " "]
    return join(shown)


def _comparison(columns: Sequence[Mapping[str, Any]], runs: Sequence[Run]) -> Html:
    """Makes a table with a row for each setting; settings that differ between runs are marked."""
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = []
    for name in names:
        values = [column.get(name) for column in columns]
        differs = any(value != values[0] for value in values)
        rows.append([name, *(element("mark", _plain(value)) if differs else _plain(value) for value in values)])
    return table(rows, header=["", *(run.name for run in runs)] if len(runs) > 1 else None)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested settings: {"a": {"b_c": 1}} → {"a b c": 1}."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{_words(name)} ")
        else:
            flat[prefix + _words(name)] = value
    return flat


def _plain(value: Any) -> Any:
    """Returns the value of a setting as it was given, neither rounded nor grouped."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"


def _words(name: str) -> str:
    return name.replace("mlm", "MLM").replace("nsp", "NSP").replace("mfu", "MFU").replace("_", " ")

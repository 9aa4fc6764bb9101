"""The command line."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

import kbert
from apps.sentiment_monitor.errors import UsageError
from apps.sentiment_monitor.options import (
    FILE,
    FOLDER,
    channel_options,
    chosen_channels,
    chosen_rule,
    database_option,
    load_scorer,
    model_options,
    open_sources,
    rule_options,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Watch headlines: topic and sentiment, a page, and alerts on surges."""


@main.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@model_options
@database_option
@click.option("--once", is_flag=True, help="Read what there is, send alerts, and end; without a page.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address of the page.")
@click.option("--port", default=8600, show_default=True, help="The port of the page.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["lines", "csv", "tsv", "jsonl"]),
    help="The format of standard input (lines) and of files (as their suffix says).",
)
@click.option("--feed-seconds", default=300.0, show_default=True, help="The seconds between two requests of a feed.")
@channel_options
@rule_options
def watch(
    sources: Sequence[str],
    topic_model: str,
    sentiment_model: str,
    negative_label: str,
    engine: str,
    database: Path,
    once: bool,
    host: str,
    port: int,
    form: str | None,
    feed_seconds: float,
    **others: Any,
) -> None:
    """Read headlines from each SOURCE, score them, serve the page, and send alerts.

    A SOURCE is a file that may grow, a folder that grows, the http address of a feed (RSS, Atom), or - for standard
    input. Files are CSV or TSV with a header, or JSON lines, with text, time and source; other files have a headline a
    line.
    """
    from apps.sentiment_monitor.service import Service

    rule = chosen_rule(others)
    channels = chosen_channels(**others)
    found = open_sources(sources, form, feed_seconds, complete=once)
    scorer = load_scorer(topic_model, sentiment_model, negative_label, engine)
    service = Service(database, scorer, found, rule, channels)
    if once:
        monitor = service.once(time.time())
        click.echo(f"{monitor.stored} new headlines in {database}")
        if monitor.problems:
            raise click.ClickException(f"{monitor.problems} problems with the sources, listed above")
    else:
        service.run(host, port)


@main.command("test-alert")
@channel_options
def test_alert(**channels: Any) -> None:
    """Send an alert about nothing, to try the channels."""
    from apps.sentiment_monitor.alerts.alert import Alert

    chosen = chosen_channels(**channels)
    if not chosen:
        raise UsageError("expected --webhook, --alert-file or --email-to. Received: none of them")
    details = {"p_value": 1.0, "count": 1, "negative": 1, "expected": 1.0, "window": 6, "examples": ["This is a test."]}
    failed = 0
    for channel in chosen:
        try:
            channel.send(Alert(0, "Test", "volume", time.time(), time.time(), details))
            click.echo(f"{channel.name}: sent")
        except OSError as error:
            failed += 1
            click.echo(f"{channel.name}: not sent ({error})", err=True)
    if failed:
        raise click.ClickException(f"{failed} of {len(chosen)} channels failed")


@main.command()
@model_options
@database_option
def rescore(topic_model: str, sentiment_model: str, negative_label: str, engine: str, database: Path) -> None:
    """Score all headlines of the database again, with other models."""
    from apps.sentiment_monitor.monitor import rescore as rescore_all
    from apps.sentiment_monitor.store import Store

    if not database.exists():
        raise UsageError(f"expected a database that exists. Received: {database}")
    scorer = load_scorer(topic_model, sentiment_model, negative_label, engine)
    click.echo(f"{rescore_all(Store(database), scorer)} headlines scored again in {database}")


@main.command()
@click.option("--ag-news", type=FILE, required=True, help="test.csv or train.csv of AG News.")
@click.option("--phrasebank", type=FILE, required=True, help="Sentences_50Agree.txt of the Financial PhraseBank.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="A new folder.")
def prepare(ag_news: Path, phrasebank: Path, output: Path) -> None:
    """Write the training files of both models, and the headlines that `replay` uses."""
    from apps.sentiment_monitor.replay.data_sets import write_data_sets

    for name, rows in write_data_sets(ag_news, phrasebank, output).items():
        click.echo(f"{output / name}: {rows:,} rows")


@main.command()
@click.argument("data", type=FOLDER)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A new CSV file.")
@click.option("--seed", default=0, show_default=True, help="Determines which headlines come when.")
def simulate(data: Path, output: Path, seed: int) -> None:
    """Write a table of five weeks of headlines in DATA (made by `prepare`), with two surges, to try `watch` on."""
    from apps.sentiment_monitor.replay.scored_texts import labelled_texts
    from apps.sentiment_monitor.replay.simulate import write_headlines

    count = write_headlines(labelled_texts(data), output, time.time(), seed=seed)
    click.echo(f"{output}: {count:,} headlines")


@main.command()
@click.argument("data", type=FOLDER)
@model_options
@click.option("--calm-weeks", default=52, show_default=True, help="The weeks without surges.")
@click.option("--surges", default=20, show_default=True, help="The number of surges of each kind and size.")
@click.option("--seed", default=0, show_default=True, help="Determines the replay.")
@click.option("--scale", default=1.0, show_default=True, help="The factor by which there are more headlines.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@rule_options
def replay(
    data: Path,
    topic_model: str,
    sentiment_model: str,
    negative_label: str,
    engine: str,
    calm_weeks: int,
    surges: int,
    seed: int,
    scale: float,
    as_json: bool,
    **others: Any,
) -> None:
    """Measure the rule: replay the headlines in DATA (made by `prepare`) with planted surges."""
    from apps.sentiment_monitor.replay.measure import measure
    from apps.sentiment_monitor.replay.scored_texts import scored_texts
    from apps.sentiment_monitor.replay.table import table_of

    rule = chosen_rule(others)
    scorer = load_scorer(topic_model, sentiment_model, negative_label, engine)
    tell = lambda line: click.echo(line, err=True)  # noqa: E731
    texts, accuracies = scored_texts(data, scorer, tell)
    settings: dict[str, Any] = {"calm_weeks": calm_weeks, "surges": surges, "seed": seed, "scale": scale}
    results = {"accuracies": accuracies, **measure(texts, scorer.topics, rule, **settings, progress=tell)}
    click.echo(json.dumps(results, indent=1) if as_json else table_of(results))


@contextlib.contextmanager
def _errors_as_lines() -> Iterator[None]:
    try:
        yield
    except kbert.KbertError as error:
        click.echo(f"Error: {' '.join(getattr(error, 'command_line_message', str(error)).split())}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        click.echo(f"Error: {error.strerror or error}{where}", err=True)
        sys.exit(1)


def program() -> None:
    """Runs the program."""
    kbert.prepare_runtime(quiet=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    # A request for each line would hide the lines that matter.
    logging.getLogger("kbert").setLevel(logging.WARNING)
    with _errors_as_lines():
        main(prog_name="python -m apps.sentiment_monitor")

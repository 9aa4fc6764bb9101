"""The command line."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

import kbert
from apps.sentiment_monitor.errors import UsageError
from apps.sentiment_monitor.surges.rule import Rule

_LOG = logging.getLogger("sentiment_monitor")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def _models(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--topic-model", required=True, metavar="MODEL", help="A model folder for the topic."),
            click.option("--sentiment-model", required=True, metavar="MODEL", help="A model folder for the sentiment."),
            click.option(
                "--negative-label", default="negative", show_default=True, help="The sentiment whose share is watched."
            ),
            click.option(
                "--engine",
                type=click.Choice(["tensorflow", "litert"]),
                default="tensorflow",
                show_default=True,
                help="What computes the models; litert is faster on processors, and starts some seconds later.",
            ),
        )
    ):
        command = option(command)
    return command


def _rule(command: Callable[..., Any]) -> Callable[..., Any]:
    rule = Rule()
    for name, kind, default, text in reversed(
        (
            ("step", int, rule.step, "The minutes between two looks."),
            ("baseline", int, rule.baseline, "The days of the past."),
            ("false-alarms", float, rule.false_alarms, "The false alarms a week that the threshold allows for."),
            ("cool-down", float, rule.cool_down, "The hours without a significant look after which a surge is over."),
            ("least", int, rule.least, "The least number of headlines in the window of an alert."),
        )
    ):
        command = click.option(f"--{name}", type=kind, default=default, show_default=True, help=text)(command)
    window = click.option(
        "--window",
        "windows",
        type=int,
        multiple=True,
        default=rule.windows,
        show_default=True,
        help="The hours that are compared with the past. Can be repeated.",
    )
    return window(command)


def _channels(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--webhook", multiple=True, metavar="URL", help="Post alerts as JSON. Can be repeated."),
            click.option(
                "--alert-file",
                type=click.Path(dir_okay=False, path_type=Path),
                help="Append alerts to a file of JSON lines.",
            ),
            click.option("--email-to", multiple=True, metavar="ADDRESS", help="Mail alerts. Can be repeated."),
            click.option("--email-from", metavar="ADDRESS", help="The sender of e-mails."),
            click.option(
                "--smtp",
                default="smtp://localhost:25",
                show_default=True,
                metavar="URL",
                help="The server for e-mails: smtp://HOST:PORT, smtp+starttls://USER@HOST:PORT or "
                "smtps://USER@HOST:PORT. The password is in SENTIMENT_MONITOR_SMTP_PASSWORD.",
            ),
        )
    ):
        command = option(command)
    return command


_database = click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("headlines.db"),
    show_default=True,
    help="The SQLite file with headlines and scores.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Watch headlines: topic and sentiment, a page, and alerts on surges."""


@main.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@_models
@_database
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
@_channels
@_rule
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

    rule = _chosen_rule(others)
    channels = _chosen_channels(**others)
    found = _open_sources(sources, form, feed_seconds, complete=once)
    scorer = _scorer(topic_model, sentiment_model, negative_label, engine)
    service = Service(database, scorer, found, rule, channels)
    if once:
        monitor = service.once(time.time())
        click.echo(f"{monitor.stored} new headlines in {database}")
        if monitor.problems:
            raise click.ClickException(f"{monitor.problems} problems with the sources, listed above")
    else:
        service.run(host, port)


@main.command("test-alert")
@_channels
def test_alert(**channels: Any) -> None:
    """Send an alert about nothing, to try the channels."""
    from apps.sentiment_monitor.alerts.alert import Alert

    chosen = _chosen_channels(**channels)
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
@_models
@_database
def rescore(topic_model: str, sentiment_model: str, negative_label: str, engine: str, database: Path) -> None:
    """Score all headlines of the database again, with other models."""
    from apps.sentiment_monitor.monitor import rescore as rescore_all
    from apps.sentiment_monitor.store import Store

    if not database.exists():
        raise UsageError(f"expected a database that exists. Received: {database}")
    scorer = _scorer(topic_model, sentiment_model, negative_label, engine)
    click.echo(f"{rescore_all(Store(database), scorer)} headlines scored again in {database}")


@main.command()
@click.option("--ag-news", type=_FILE, required=True, help="test.csv or train.csv of AG News.")
@click.option("--phrasebank", type=_FILE, required=True, help="Sentences_50Agree.txt of the Financial PhraseBank.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="A new folder.")
def prepare(ag_news: Path, phrasebank: Path, output: Path) -> None:
    """Write the training files of both models, and the headlines that `replay` uses."""
    from apps.sentiment_monitor.replay.data_sets import write_data_sets

    for name, rows in write_data_sets(ag_news, phrasebank, output).items():
        click.echo(f"{output / name}: {rows:,} rows")


@main.command()
@click.argument("data", type=_FOLDER)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A new CSV file.")
@click.option("--seed", default=0, show_default=True, help="Determines which headlines come when.")
def simulate(data: Path, output: Path, seed: int) -> None:
    """Write a table of five weeks of headlines in DATA (made by `prepare`), with two surges, to try `watch` on."""
    from apps.sentiment_monitor.replay.scored_texts import labelled_texts
    from apps.sentiment_monitor.replay.simulate import write_headlines

    count = write_headlines(labelled_texts(data), output, time.time(), seed=seed)
    click.echo(f"{output}: {count:,} headlines")


@main.command()
@click.argument("data", type=_FOLDER)
@_models
@click.option("--calm-weeks", default=52, show_default=True, help="The weeks without surges.")
@click.option("--surges", default=40, show_default=True, help="The number of surges of each kind and size.")
@click.option("--seed", default=0, show_default=True, help="Determines the replay.")
@click.option("--scale", default=1.0, show_default=True, help="The factor by which there are more headlines.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_rule
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

    rule = _chosen_rule(others)
    scorer = _scorer(topic_model, sentiment_model, negative_label, engine)
    tell = lambda line: click.echo(line, err=True)  # noqa: E731
    texts, accuracies = scored_texts(data, scorer, tell)
    settings: dict[str, Any] = {"calm_weeks": calm_weeks, "surges": surges, "seed": seed, "scale": scale}
    results = {"accuracies": accuracies, **measure(texts, scorer.topics, rule, **settings, progress=tell)}
    click.echo(json.dumps(results, indent=1) if as_json else table_of(results))


def _scorer(topic_model: str, sentiment_model: str, negative: str, engine: str) -> Any:
    from apps.sentiment_monitor.scoring import Scorer

    return Scorer(topic_model, sentiment_model, negative, engine)


def _chosen_rule(values: dict[str, Any]) -> Rule:
    """Takes the options of the rule out of `values`."""
    names = ("windows", "step", "baseline", "false_alarms", "cool_down", "least")
    return Rule(**{name: values.pop(name) for name in names})


def _chosen_channels(
    webhook: Sequence[str], alert_file: Path | None, email_to: Sequence[str], email_from: str | None, smtp: str
) -> list[Any]:
    from apps.sentiment_monitor.alerts.channels import EmailChannel, FileChannel, WebhookChannel

    if bool(email_to) != (email_from is not None):
        raise UsageError("expected --email-to together with --email-from. Received: one of them")
    channels: list[Any] = [WebhookChannel(address) for address in dict.fromkeys(webhook)]
    channels += [] if alert_file is None else [FileChannel(alert_file)]
    return channels + ([EmailChannel(smtp, email_from or "", email_to)] if email_to else [])


def _open_sources(names: Sequence[str], form: str | None, feed_seconds: float, *, complete: bool) -> list[Any]:
    from apps.sentiment_monitor.sources.feed import FeedSource, is_feed_address
    from apps.sentiment_monitor.sources.file import FileSource
    from apps.sentiment_monitor.sources.folder import FolderSource
    from apps.sentiment_monitor.sources.standard_input import StandardInputSource

    sources: list[Any] = []
    for name in dict.fromkeys(names):
        if name == "-":
            sources.append(StandardInputSource(sys.stdin.buffer, form or "lines", complete=complete))
        elif is_feed_address(name):
            sources.append(FeedSource(name, feed_seconds))
        elif Path(name).is_dir():
            sources.append(FolderSource(Path(name), complete=complete))
        elif Path(name).is_file():
            sources.append(FileSource(Path(name), form, complete=complete))
        else:
            raise UsageError(f"expected a file, a folder, an http address or - as SOURCE. Received: {name}")
    return sources


@contextlib.contextmanager
def _errors_as_lines() -> Iterator[None]:
    try:
        yield
    except kbert.KbertError as error:
        click.echo(f"Error: {' '.join(str(error).split())}", err=True)
        sys.exit(error.exit_code)


def program() -> None:
    """Runs the program."""
    kbert.prepare_runtime(quiet=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    # A request for each line would hide the lines that matter.
    logging.getLogger("kbert").setLevel(logging.WARNING)
    with _errors_as_lines():
        main(prog_name="python -m apps.sentiment_monitor")

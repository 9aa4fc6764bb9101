"""The options that several commands have, and what is made of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from apps.sentiment_monitor.errors import UsageError
from apps.sentiment_monitor.surges.rule import Rule

if TYPE_CHECKING:
    from apps.sentiment_monitor.alerts.channels import Channel
    from apps.sentiment_monitor.scoring import Scorer
    from apps.sentiment_monitor.sources.source import Source

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of the two models."""
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


def rule_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of the rule."""
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


def channel_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of the channels."""
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


database_option = click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("headlines.db"),
    show_default=True,
    help="The SQLite file with headlines and scores.",
)


def load_scorer(topic_model: str, sentiment_model: str, negative: str, engine: str) -> Scorer:
    """Loads the two models."""
    from apps.sentiment_monitor.scoring import Scorer

    return Scorer(topic_model, sentiment_model, negative, engine)


def chosen_rule(values: dict[str, Any]) -> Rule:
    """Takes the options of the rule out of `values`, and makes the rule of them."""
    names = ("windows", "step", "baseline", "false_alarms", "cool_down", "least")
    return Rule(**{name: values.pop(name) for name in names})


def chosen_channels(
    webhook: Sequence[str], alert_file: Path | None, email_to: Sequence[str], email_from: str | None, smtp: str
) -> list[Channel]:
    """Makes the channels.

    Raises:
        UsageError: An address is none, or the sender or the receivers of e-mails are missing.
    """
    from apps.sentiment_monitor.alerts.channels import EmailChannel, FileChannel, WebhookChannel

    if bool(email_to) != (email_from is not None):
        raise UsageError("expected --email-to together with --email-from. Received: one of them")
    channels: list[Channel] = [WebhookChannel(address) for address in dict.fromkeys(webhook)]
    channels += [] if alert_file is None else [FileChannel(alert_file)]
    return channels + ([EmailChannel(smtp, email_from or "", email_to)] if email_to else [])


def open_sources(names: Sequence[str], form: str | None, feed_seconds: float, *, complete: bool) -> list[Source]:
    """Makes the sources.

    Args:
        names: What the user named: files, folders, addresses of feeds, or "-".
        form: The format of standard input and of files; None is lines and that of the suffix.
        feed_seconds: The seconds between two requests of a feed.
        complete: Whether nobody writes to the sources any more.

    Raises:
        UsageError: A name is none of these.
    """
    from apps.sentiment_monitor.sources.feed import FeedSource, is_feed_address
    from apps.sentiment_monitor.sources.file import FileSource
    from apps.sentiment_monitor.sources.folder import FolderSource
    from apps.sentiment_monitor.sources.standard_input import StandardInputSource

    sources: list[Source] = []
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

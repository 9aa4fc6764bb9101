"""The commands of the app."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import datetime, timezone
from typing import Any

import click

import kbert
from apps.customer_service.cli_options import (
    FAQS,
    JSON,
    STORE,
    assistant_of,
    column_options,
    columns_of,
    existing_store,
    model_options,
    show,
)
from apps.customer_service.faqs import Columns, read_faqs, read_rows

_DAY = 86_400


class _Commands(click.Group):
    """A group whose errors are one line and an exit code: 2 for invalid usage, 1 for other failures."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except kbert.KbertError as error:
            click.echo(f"Error: {' '.join(getattr(error, 'command_line_message', str(error)).split())}", err=True)
            sys.exit(error.exit_code)
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            click.echo(f"Error: {error.strerror or error}{where}", err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            sys.exit(130)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Answer customers' questions from a list of FAQs, and hand over to a person when unsure."""
    kbert.prepare_runtime(quiet=True)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("customer_service")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    click.get_current_context().call_on_close(lambda: log.removeHandler(handler))


@main.command()
@FAQS
@model_options
@column_options
@STORE
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free port.")
@click.option("--contact", default="", help="How to reach a person, such as a telephone number; shown at a hand-over.")
@click.option(
    "--person-category",
    "person_categories",
    multiple=True,
    metavar="NAME",
    help="A category of questions that are always handed over; can be repeated.",
)
@click.option(
    "--retention-days",
    default=90.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Delete conversations so many days after their last question; 0 keeps them.",
)
def serve(faqs: str, store: str, host: str, port: int, **settings: Any) -> None:
    """Serve the chat page and the API."""
    from apps.customer_service.api import Settings, make_app
    from apps.customer_service.server import run
    from apps.customer_service.store import Store

    listed = read_faqs(faqs, columns_of(settings))
    limits = Settings(contact=settings.pop("contact"), retention_days=settings.pop("retention_days"))
    categories = settings.pop("person_categories")
    _check_categories(categories, {faq.category for faq in listed})
    kept = Store(store)
    app = make_app(assistant_of(listed, settings, person_categories=categories), kept, limits)
    try:
        run(app, host=host, port=port, on_ready=lambda url: click.echo(f"{len(listed)} FAQs at {url}", err=True))
    finally:
        kept.close()


@main.command()
@FAQS
@click.argument("questions", metavar="QUESTION...", nargs=-1, required=True)
@model_options
@column_options
def ask(faqs: str, questions: tuple[str, ...], **settings: Any) -> None:
    """Print the replies to the questions of a conversation, as lines of JSON."""
    from apps.customer_service.api import reply_as_json
    from apps.customer_service.dialogue import PastTurn

    assistant = assistant_of(read_faqs(faqs, columns_of(settings)), settings)
    past: list[PastTurn] = []
    for question in questions:
        reply = assistant.reply(question, past)
        past.append(PastTurn(reply.understood))
        click.echo(json.dumps({"question": question, **reply_as_json(reply)}, ensure_ascii=False))


@main.command()
@FAQS
@click.argument("questions", metavar="[QUESTIONS.csv]", required=False, type=click.Path(exists=True, dir_okay=False))
@model_options
@column_options
@click.option(
    "--precision",
    default=0.95,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="The part of the answers that shall be right; the threshold follows from it.",
)
@click.option(
    "--out-of-scope",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="A CSV file of questions that no FAQ answers.",
)
@click.option("--out-of-scope-column", metavar="NAME", help="The column of its questions.  [default: question]")
@JSON
def evaluate(
    faqs: str,
    questions: str | None,
    precision: float,
    out_of_scope: str | None,
    out_of_scope_column: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Measure the answers, and find the threshold.

    QUESTIONS.csv has questions of customers, each with the id or the answer of the right FAQ. Without it, each phrasing
    of an FAQ that has several is a question in turn. If no FAQ has several, the answers are the questions, and no
    threshold is found.
    """
    from apps.customer_service import evaluation

    columns = columns_of(settings)
    listed = read_faqs(faqs, columns)
    outside = [] if out_of_scope is None else read_rows(out_of_scope, Columns(out_of_scope_column), answers=False)
    if questions is None:
        asked = evaluation.phrasings_of(listed)
    else:
        asked = evaluation.asked_of(read_rows(questions, columns, answers=False), listed, questions)
    assistant = assistant_of(listed, settings, measures=True)
    if len(asked) < 2:
        if outside:
            raise click.UsageError("--out-of-scope needs QUESTIONS.csv, or FAQs with several phrasings. Received: none")
        measures = evaluation.evaluate_answers(assistant)
    else:
        measures = evaluation.evaluate_questions(
            assistant,
            asked,
            precision=precision,
            out_of_scope=[row.question for row in outside],
            but_themselves=questions is None,
        )
    show(measures, as_json)


@main.command()
@click.argument("dialogues", metavar="DIALOGUES.jsonl", type=click.Path(exists=True, dir_okay=False))
@model_options
@JSON
def evaluate_dialogues(dialogues: str, as_json: bool, **settings: Any) -> None:
    """Measure what context is worth, on dialogues with an intent for each turn.

    Four fifths of the dialogues are the FAQs; the turns of the others are the questions.
    """
    from apps.customer_service import evaluation

    faqs, said = evaluation.split_dialogues(evaluation.read_dialogues(dialogues))
    show(evaluation.evaluate_dialogues(assistant_of(faqs, settings, measures=True), said), as_json)


@main.group()
def feedback() -> None:
    """Look at the feedback of customers, and export it."""


@feedback.command("show")
@STORE
@JSON
def show_feedback(store: str, as_json: bool) -> None:
    """Show how much the store has."""
    kept = existing_store(store)
    show(kept.counts(), as_json)
    kept.close()


@feedback.command("export")
@FAQS
@STORE
@column_options
@click.option(
    "--output", required=True, type=click.Path(file_okay=False), help="The folder to write, which must be new."
)
def export_feedback(faqs: str, store: str, output: str, **settings: Any) -> None:
    """Write training files for `kbert finetune`, and a list of FAQs with the new phrasings."""
    from apps.customer_service.training_files import feedback_of, write_training_files

    listed = read_faqs(faqs, columns_of(settings))
    kept = existing_store(store)
    found = feedback_of(kept.judged(), listed)
    kept.close()
    for name, count in write_training_files(output, found, listed).items():
        click.echo(f"{output}/{name}: {count} rows")
    click.echo(
        f"{len(found.right)} questions have a right FAQ, {len(found.wrong)} wrong answers are known, "
        f"{found.left_out} judgements were left out"
    )


@main.command()
@click.argument("conversation", required=False)
@STORE
@click.option("--older-than", type=click.FloatRange(0), metavar="DAYS", help="Delete all conversations that are older.")
def forget(conversation: str | None, store: str, older_than: float | None) -> None:
    """Delete CONVERSATION, or the conversations that are older than some days.

    The texts are overwritten in the file. Training files that were exported before are not changed.
    """
    if (conversation is None) == (older_than is None):
        raise click.UsageError("expected CONVERSATION or --older-than. Received: both, or neither")
    kept = existing_store(store)
    try:
        if conversation is not None:
            kept.forget(conversation)
            count = 1
        else:
            assert older_than is not None
            count = kept.forget_before(time.time() - older_than * _DAY)
    finally:
        kept.close()
    click.echo(f"conversations deleted: {count}")


@main.command()
@STORE
@click.option("--take", metavar="CONVERSATION", help="Take this conversation off the list.")
@click.option("--read", metavar="CONVERSATION", help="Print the questions of this conversation.")
def waiting(store: str, take: str | None, read: str | None) -> None:
    """List the conversations that wait for a person, as lines of JSON."""
    kept = existing_store(store)
    try:
        if read is not None:
            for turn in kept.turns(read):
                values = {"turn": turn.number, "question": turn.question, "decision": turn.decision, "faq": turn.faq}
                click.echo(json.dumps(values, ensure_ascii=False))
            return
        if take is not None:
            kept.take(take)
        for each in kept.waiting():
            at = datetime.fromtimestamp(each.at, timezone.utc).isoformat(timespec="seconds")
            click.echo(json.dumps({"conversation": each.conversation, "since": at, "reason": each.reason}))
    finally:
        kept.close()


def _check_categories(categories: tuple[str, ...], known: set[str]) -> None:
    for name in categories:
        if name not in known:
            has = ", ".join(sorted(known - {""})[:5]) or "none"
            raise click.UsageError(f"--person-category must be a category of the FAQs ({has}). Received: {name}")

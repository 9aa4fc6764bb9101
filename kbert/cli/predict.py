"""`kbert predict`."""

from __future__ import annotations

from typing import Any

import click

from kbert import quiet
from kbert.cli import options
from kbert.errors import UsageError
from kbert.tasks.catalogue import all_columns

_AT_ONCE = 4096


@click.command()
@options.RUN
@click.argument("texts", nargs=-1, metavar="[TEXT...]")
@options.data_file("--input", "A text a line; a .csv, .tsv or .jsonl file; or what the task reads.", required=False)
@click.option(
    "--pair",
    "pairs",
    multiple=True,
    help="The second text of each TEXT, in order, for a task of two: a pair, a question's context. For a task of "
    "choices, all are the choices of one TEXT.",
)
@options.columns([column for column in all_columns().values() if not column.target], defaults=False)
@options.reading
@click.option("--batch-size", default=64, show_default=True, type=click.IntRange(1))
@options.JSON
def predict(
    run: str,
    texts: tuple[str, ...],
    input: str | None,
    pairs: tuple[str, ...],
    batch_size: int,
    as_json: bool,
    **reading: str | None,
) -> None:
    """Answer for TEXTs, or for the texts of a file, with the model RUN."""
    if bool(texts) == bool(input):
        raise UsageError("give texts, or --input FILE; one of the two")
    quiet.import_tensorflow()
    from kbert import predictor

    model = predictor.load(run)
    several = model.task.text_inputs[-1].several
    inputs: list[Any]
    if input:
        inputs = model.read_inputs(input, options.chosen_columns(reading), options.chosen_reading(reading))
    elif pairs:
        inputs = [texts, [pairs] if several and len(texts) == 1 else pairs]
    else:
        inputs = [texts]
    for start in range(0, len(inputs[0]), _AT_ONCE):
        for row in model.predict(*(values[start : start + _AT_ONCE] for values in inputs), batch_size=batch_size):
            options.print_json(row) if as_json else click.echo(model.task.text_line(row))

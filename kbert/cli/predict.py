"""`kbert predict`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from kbert import quiet
from kbert.cli import options
from kbert.errors import DataError, UsageError


@click.command()
@options.RUN
@click.argument("texts", nargs=-1, metavar="[TEXT...]")
@options.data_file("--input", "A text a line; or a .csv, .tsv or .jsonl file.", required=False)
@click.option("--pair", "pairs", multiple=True, help="The second text of each TEXT, in order, for a task of pairs.")
@click.option(
    "--text-column", default="text", show_default=True, help="Column of --input: a name, or a 1-based number."
)
@click.option("--pair-column", help="Column of second texts.")
@click.option("--batch-size", default=64, show_default=True, type=click.IntRange(1))
@options.JSON
def predict(
    run: str,
    texts: tuple[str, ...],
    input: str | None,
    pairs: tuple[str, ...],
    text_column: str,
    pair_column: str | None,
    batch_size: int,
    as_json: bool,
) -> None:
    """Answer for TEXTs, or for the texts of a file, with the model RUN."""
    if bool(texts) == bool(input):
        raise UsageError("give texts, or --input FILE; one of the two")
    all_texts: list[str] = list(texts)
    all_pairs: list[str] | None = list(pairs) or None
    if input:
        all_texts, all_pairs = _read(input, text_column, pair_column)

    quiet.import_tensorflow()
    from kbert import predictor

    model = predictor.load(run)
    for start in range(0, len(all_texts), 4096):
        part = slice(start, start + 4096)
        rows = model.predict(all_texts[part], all_pairs[part] if all_pairs else None, batch_size=batch_size)
        _print(rows, as_json)


def _read(path: str, text_column: str, pair_column: str | None) -> tuple[list[str], list[str] | None]:
    from kbert import files
    from kbert.tasks.tables import file_kind, read_table

    if file_kind(path) == "text":
        texts = list(files.read_lines(path))
        if not texts:
            raise DataError("expected a text a line. The file is empty", path)
        return texts, None
    columns = {"text": text_column} | ({"pair": pair_column} if pair_column else {})
    rows = list(read_table(path, columns))
    if not rows:
        raise DataError("expected rows of text. There are none", path)
    return [row.values["text"] for row in rows], [row.values["pair"] for row in rows] if pair_column else None


def _print(rows: Iterable[dict[str, Any]], as_json: bool) -> None:
    for row in rows:
        if as_json:
            options.print_json(row)
        else:
            best = row["probabilities"][row["label"]]
            click.echo("\t".join([row["label"], f"{best:.4f}", row["text"], *filter(None, [row.get("pair")])]))

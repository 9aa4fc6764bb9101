"""The command `kbert evaluate`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.errors import UsageError
from kbert.runtime.progress_bar import progress_bar
from kbert.runtime.tensorflow import import_tensorflow
from kbert.tasks.catalogue import all_columns


@click.command(cls=options.SectionedCommand)
@options.RUN
@options.data_file("--data", "For a fine-tuned model: a labelled file in a format of the task.", required=False)
@click.option(
    "--corpus",
    type=click.Path(exists=True, file_okay=False),
    help="For a pretrained model: a corpus with its vocabulary.",
)
@options.columns(all_columns().values(), defaults=False)
@options.reading(labelled=True)
@options.SKIP_BAD
@options.model_use()
@click.option("--pair-prompt", help="The text that is put before the second texts of pairs, such as 'passage: '.")
@click.option(
    "--batch-size",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="The number of examples that are processed together.",
)
@options.JSON
def evaluate(
    run: str,
    data: str | None,
    corpus: str | None,
    skip_bad: int,
    batch_size: int,
    as_json: bool,
    **reading: Any,
) -> None:
    """Evaluate the model RUN: a fine-tuned model on a file, a pretrained model on a corpus.

    The file is read like the training file of RUN, with the same columns, delimiter, encoding and so on. Options
    override these; an empty value, as in --negative-column "", means that the file has no such column. Each task uses
    only some of these options.
    """
    if (data is None) == (corpus is None):
        raise UsageError(
            "expected --data FILE for a fine-tuned model, or --corpus FOLDER for a pretrained one. Received: "
            f"{'neither' if data is None else 'both'}; give one of the two"
        )
    import_tensorflow()
    if corpus is not None:
        metrics = _measure_corpus(run, corpus, batch_size)
    else:
        from kbert.prediction.loading import load

        use = options.chosen_use(reading, paired=bool(reading["pair_column"]))
        metrics = load(run, **use).evaluate(
            str(data),
            options.chosen_columns(reading),
            options=options.chosen_reading(reading),
            batch_size=batch_size,
            skip_bad=skip_bad,
        )
    if as_json:
        options.print_json(metrics)
    else:
        _print_tables(metrics)


def _measure_corpus(run: str, corpus: str, batch_size: int) -> dict[str, Any]:
    from kbert.training.evaluation import evaluate_pretraining

    with progress_bar("evaluating", "items", transient=True) as update:
        return evaluate_pretraining(run, corpus, batch_size=batch_size, progress=update)


def _print_tables(metrics: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    for name, value in metrics.items():
        if isinstance(value, (int, float)):
            console.print(
                f"{name.replace('_', ' ')}: {value:.4f}" if isinstance(value, float) else f"{name}: {value:,}"
            )
    if metrics.get("per_class"):  # empty if no class occurs in the file or in the predictions
        names = next(iter(metrics["per_class"].values()))
        table = Table("label", *names)
        for label, scores in metrics["per_class"].items():
            numbers = [f"{value:,}" if isinstance(value, int) else f"{value:.4f}" for value in scores.values()]
            table.add_row(escape(label), *numbers)
        console.print(table)
    if len(metrics.get("confusion_matrix", ())) in range(1, 21):
        table = Table("true \\ predicted", *map(escape, metrics["labels"]), title="confusion matrix")
        for label, row in zip(metrics["labels"], metrics["confusion_matrix"], strict=True):
            table.add_row(escape(label), *map(str, row))
        console.print(table)

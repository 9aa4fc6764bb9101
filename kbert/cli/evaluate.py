"""The command `kbert evaluate`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.errors import UsageError
from kbert.options import option_infos
from kbert.prediction.options import EvaluateOptions, LoadOptions
from kbert.runtime.progress_bar import progress_bar
from kbert.tasks.catalogue import all_columns
from kbert.training.options import EvaluatePretrainingOptions

_INFOS = {
    **option_infos(LoadOptions),
    **option_infos(EvaluateOptions),
    "precision": option_infos(EvaluatePretrainingOptions)["precision"],
}

_EVALUATION = [name for name in option_infos(EvaluateOptions) if name != "batch_size"]


@click.command(cls=options.SectionedCommand)
@options.MODEL
@options.data_file("--data", "For a fine-tuned model: a labelled file in a format of the task.", required=False)
@click.option(
    "--corpus",
    type=click.Path(exists=True, file_okay=False),
    help="For a pretrained model: a corpus with its vocabulary.",
)
@options.columns(all_columns().values(), defaults=False)
@options.reading(labelled=True)
@options.declared(_INFOS)
@options.JSON
def evaluate(
    model: str, data: str | None, corpus: str | None, batch_size: int, precision: str, as_json: bool, **settings: Any
) -> None:
    """Evaluate MODEL: a fine-tuned model on a file, a pretrained model on a corpus.

    The file is read like the training file of MODEL, with the same columns, delimiter, encoding and so on. Options
    override these; an empty value, as in --negative-column "", means that the file has no such column. Each task uses
    only some of these options.
    """
    if (data is None) == (corpus is None):
        raise UsageError(
            "expected --data FILE for a fine-tuned model, or --corpus FOLDER for a pretrained one. Received: "
            f"{'neither' if data is None else 'both'}; give one of the two"
        )
    given = options.given(click.get_current_context(), settings)
    if corpus is not None and given:
        names = " ".join(options.spellings(given))
        raise UsageError(f"expected --data FILE beside {names}. Received: --corpus; leave {names} out")
    if "explained_examples" in given and not settings["faithfulness"]:
        raise UsageError("--explained-examples is for --faithfulness. Received: no --faithfulness; add it")
    if precision != "float32" and corpus is None:
        raise UsageError(f"--precision is for --corpus FOLDER. Received: --precision {precision}; leave it out")
    use = options.loading(settings, paired=bool(settings["pair_column"]))
    how = EvaluateOptions(batch_size=batch_size, **{name: settings[name] for name in _EVALUATION})
    options.import_tensorflow_for("one", None, precision)
    if corpus is not None:
        metrics = _evaluate_pretraining(
            model, corpus, EvaluatePretrainingOptions(batch_size=batch_size, precision=precision)
        )
    else:
        from kbert.prediction.loading import load

        metrics = load(model, options=use).evaluate(str(data), options=how, **options.chosen_reading(settings))
    if as_json:
        options.print_json(metrics)
    else:
        _print_tables(metrics)


def _evaluate_pretraining(model: str, corpus: str, chosen: EvaluatePretrainingOptions) -> dict[str, Any]:
    from kbert.training.evaluation import evaluate_pretraining

    with progress_bar("evaluating", "items", transient=True) as update:
        return evaluate_pretraining(model, corpus, options=chosen, progress=update)


def _print_tables(metrics: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    interval = metrics.get("interval", {})
    for name, value in metrics.items():
        if isinstance(value, float):
            bounds = ""
            if name == interval.get("metric"):
                bounds = f" (95 % interval {interval['low']:.4f} to {interval['high']:.4f})"
            console.print(f"{name.replace('_', ' ')}: {value:.4f}{bounds}")
        elif isinstance(value, int):
            console.print(f"{name}: {value:,}")
    if metrics.get("per_class"):  # empty if no class occurs in the file or in the predictions
        names = next(iter(metrics["per_class"].values()))
        table = Table("label", *names)
        for label, scores in metrics["per_class"].items():
            numbers = [f"{value:,}" if isinstance(value, int) else f"{value:.4f}" for value in scores.values()]
            table.add_row(escape(label), *numbers)
        console.print(table)
    if "faithfulness" in metrics:
        console.print(_faithfulness_table(metrics["faithfulness"]))
    if len(metrics.get("confusion_matrix", ())) in range(1, 21):
        table = Table("true \\ predicted", *map(escape, metrics["labels"]), title="confusion matrix")
        for label, row in zip(metrics["labels"], metrics["confusion_matrix"], strict=True):
            table.add_row(escape(label), *map(str, row))
        console.print(table)


def _faithfulness_table(found: dict[str, Any]) -> Any:
    from rich.table import Table

    names = list(dict.fromkeys(name for scores in found["methods"].values() for name in scores))
    table = Table("method", *(name.replace("_", " ") for name in names))
    table.title = f"faithfulness of explanations, {found['examples']:,} examples"
    correlation = found["random_weights_correlation"]
    if correlation is not None:
        table.caption = f"rank correlation with a model with random weights: {correlation:.4f}"
    for method, scores in found["methods"].items():
        table.add_row(method, *(f"{scores[name]:.4f}" if name in scores else "" for name in names))
    return table

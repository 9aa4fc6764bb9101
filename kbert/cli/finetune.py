"""`kbert finetune`."""

from __future__ import annotations

import click

from kbert import quiet
from kbert.cli import options


@click.command()
@click.argument("task", type=click.Choice(["classification"]))
@click.option("--model", required=True, help="A model folder; hf://owner/name; or a preset such as tiny, with --vocab.")
@options.data_file("--train", "CSV, TSV or JSON lines to learn from.")
@options.data_file("--validation", "CSV, TSV or JSON lines to choose the best weights with.")
@options.output("The run's folder: a model in the end.", file_okay=False)
@options.columns
@options.data_file("--vocab", "The vocabulary of a preset.", required=False)
@options.CASED
@click.option("--epochs", default=3.0, show_default=True, help="Times that the training rows are gone through.")
@click.option("--learning-rate", default=3e-5, show_default=True, help="At the end of the warm-up.")
@click.option("--warmup-proportion", default=0.1, show_default=True, type=click.FloatRange(0, 1))
@click.option("--sequence-length", default=128, show_default=True, help="Longest input in tokens.")
@click.option("--limit", type=click.IntRange(1), help="Use the first so many training rows.")
@click.option("--evaluate-every", type=click.IntRange(1), help="Steps.  [default: an epoch]")
@click.option("--bias-correction/--no-bias-correction", default=True, show_default=True, help="Of AdamW.")
@options.training
def finetune(task: str, **settings: object) -> None:
    """Fine-tune a BERT for TASK, and keep the weights that do best on the validation file."""
    quiet.import_tensorflow()
    from kbert.training.finetune import finetune as run

    metrics = run(task, **settings)  # type: ignore[arg-type]
    scores = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if isinstance(value, float))
    click.echo(f"best on the validation file: {scores}: {settings['output']}", err=True)

"""`kbert pretrain`."""

from __future__ import annotations

import click

from kbert import quiet
from kbert.cli import options


@click.command()
@click.option("--corpus", required=True, help="A built corpus; or a folder or glob of other TFRecord files.")
@click.option("--vocab", type=click.Path(exists=True, dir_okay=False), help="Of records without a manifest.json.")
@options.CASED
@click.option("--pack-to", type=click.IntRange(8), help="Pack several examples into each row of so many tokens.")
@click.option(
    "--skip-corrupt", default=0, show_default=True, type=click.IntRange(0), help="Damaged records to leave out."
)
@click.option(
    "--model", required=True, help="tiny, mini, small, medium, base or large; a model folder; or hf://owner/name."
)
@options.output("The run's folder: a model in the end.", file_okay=False)
@click.option("--steps", required=True, type=click.IntRange(1), help="Updates of the weights.")
@click.option("--learning-rate", default=1e-4, show_default=True, help="At the end of the warm-up.")
@click.option("--warmup-steps", type=int, help="[default: a tenth of the steps, at most 10,000]")
@click.option("--keep-checkpoints", default=2, show_default=True, type=click.IntRange(1))
@click.option("--bias-correction/--no-bias-correction", default=False, show_default=True, help="Of AdamW.")
@options.training
def pretrain(**settings: object) -> None:
    """Pretrain a BERT with the masked language model and next sentence prediction."""
    quiet.import_tensorflow()
    from kbert.training.pretrain import pretrain as run

    metrics = run(**settings)["last"]  # type: ignore[arg-type]
    click.echo(
        f"masked language model loss {metrics['mlm_loss']:.4f}, next sentence accuracy {metrics['nsp_accuracy']:.4f}: "
        f"{settings['output']}",
        err=True,
    )

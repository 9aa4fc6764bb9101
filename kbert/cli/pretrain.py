"""The command `kbert pretrain`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.options import option_infos
from kbert.training.options import SECTIONS, PretrainOptions


@click.command(cls=options.SectionedCommand)
@options.declared(option_infos(PretrainOptions), SECTIONS)
def pretrain(**settings: Any) -> None:
    """Pretrain a BERT model with the masked language model and next sentence prediction."""
    PretrainOptions(**settings)  # checks the options before TensorFlow is imported, which takes seconds
    options.import_tensorflow_for(settings["strategy"], settings["cluster"], settings["precision"])
    from kbert.training.pretrain import pretrain as run

    ends = run(**settings)
    if not ends:
        return  # only the chief has metrics
    metrics = ends["last"]
    # A corpus that was built with --objective none has no labels of pairs.
    pairs = f", accuracy on pairs {metrics['nsp_accuracy']:.4f}" if "nsp_accuracy" in metrics else ""
    click.echo(f"masked language model loss {metrics['mlm_loss']:.4f}{pairs}: {settings['output']}", err=True)

"""`kbert pretrain`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options


class Phase(click.ParamType):
    """LENGTH:STEPS."""

    name = "length:steps"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Gives both numbers."""
        length, _, steps = str(value).partition(":")
        if not (length.isdecimal() and steps.isdecimal()):
            self.fail(f"expected LENGTH:STEPS, as 128:9000. Received: {value}", param, ctx)
        return int(length), int(steps)


@click.command()
@click.option(
    "--corpus",
    required=True,
    multiple=True,
    help="A built corpus, or a folder or glob of other TFRecord files; with --phase, one for each in their order.",
)
@options.vocabulary("The vocabulary of records without a manifest.json")
@options.CASED
@click.option("--pack-to", type=click.IntRange(8), help="Pack several examples into each row of so many tokens.")
@click.option(
    "--skip-corrupt", default=0, show_default=True, type=click.IntRange(0), help="Damaged records to leave out."
)
@click.option(
    "--model", required=True, help="tiny, mini, small, medium, base or large; a model folder; or hf://owner/name."
)
@options.output("The run's folder: a model in the end.", file_okay=False)
@click.option("--steps", type=click.IntRange(1), help="Updates of the weights.")
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=Phase(),
    help="Instead of --steps, and several times: the length of a corpus and the steps on it, as 128:9000.",
)
@click.option("--learning-rate", default=1e-4, show_default=True, help="At the end of the warm-up.")
@click.option(
    "--initialization",
    default="random",
    show_default=True,
    type=click.Choice(["random", "positional"]),
    help="Of a preset; positional: heads of the first block look at neighbours, and small models learn sooner.",
)
@click.option("--warmup-steps", type=int, help="[default: a tenth of the steps, at most 10,000]")
@click.option(
    "--jit",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "on", "off"]),
    help="Compile the step with XLA; auto: where it pays.",
)
@click.option("--keep-checkpoints", default=2, show_default=True, type=click.IntRange(1))
@click.option(
    "--bias-correction/--no-bias-correction",
    default=None,
    help="Of the optimizer's means.  [default: for lamb and muon]",
)
@click.option(
    "--on-spike",
    default="stop",
    show_default=True,
    type=click.Choice(["stop", "rewind"]),
    help="When the loss jumps or is no number: stop, or go back and around.",
)
@click.option(
    "--spike-threshold",
    default=2.0,
    show_default=True,
    help="A jump: so far above the last 100 steps' mean loss, and 6 deviations.",
)
@click.option(
    "--validation-corpus",
    type=click.Path(exists=True, file_okay=False),
    help="A corpus that is measured and never learnt from; its masks are fixed.",
)
@click.option("--evaluate-every", type=click.IntRange(1), help="Steps.  [default: as --checkpoint-every]")
@click.option("--samples-every", type=click.IntRange(1), help="Steps between texts with filled-in masks.")
@options.watching
@options.training
def pretrain(**settings: object) -> None:
    """Pretrain a BERT with the masked language model and next sentence prediction."""
    options.import_tensorflow_for(settings["strategy"], settings["cluster"], settings["precision"])
    from kbert.training.pretrain import pretrain as run

    ends = run(**settings)  # type: ignore[arg-type]
    if not ends:
        return  # not the chief
    metrics = ends["last"]
    # A corpus of --objective none has no labels of pairs.
    pairs = f", accuracy on pairs {metrics['nsp_accuracy']:.4f}" if "nsp_accuracy" in metrics else ""
    click.echo(f"masked language model loss {metrics['mlm_loss']:.4f}{pairs}: {settings['output']}", err=True)

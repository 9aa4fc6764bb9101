"""The command `kbert fill-mask`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.errors import UsageError
from kbert.runtime.tensorflow import import_tensorflow

_MASK = "[MASK]"


@click.command("fill-mask")
@options.MODEL
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@click.option(
    "--top",
    default=5,
    show_default=True,
    type=click.IntRange(1, 10),
    help="The number of word pieces that are shown for each mask.",
)
@click.option(
    "--batch-size",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="The number of texts that are processed together.",
)
@click.option(
    "--joint",
    is_flag=True,
    help="Fill the masks of a text one after the other, the most certain first, each given the pieces before it.",
)
@options.JSON
def fill_mask(model: str, texts: tuple[str, ...], top: int, batch_size: int, joint: bool, as_json: bool) -> None:
    """Show which word pieces the pretrained MODEL predicts at each [MASK] of TEXTs, with probabilities.

    By default each mask is predicted by itself, so that the pieces of several masks may not fit together.
    """
    without = next((text for text in texts if _MASK not in text), None)
    if without is not None:
        raise UsageError(f"expected {_MASK} in each text. Received: {without}; write {_MASK} for a word")
    from kbert.model_folder.bundle import Bundle
    from kbert.model_folder.hub import resolve
    from kbert.model_folder.parts import MLM_BIAS

    bundle = Bundle.load(resolve(model), notices=False)
    if not bundle.settings.get("task") and MLM_BIAS not in bundle.tensors:
        raise UsageError(f"{model} has no masked-language-model head; `kbert pretrain --model {model}` trains one")
    import_tensorflow()
    from kbert.prediction.loading import load

    loaded = load(model)
    if loaded.task.name != "fill-mask":
        raise UsageError(
            f"{model} must be a pretrained model, which predicts tokens. Received: one for {loaded.task.name}; use "
            f"`kbert predict`, or `kbert pretrain --model {model}`, which trains a masked-language-model head"
        )
    if joint:
        from kbert.prediction.joint_masks import fill_jointly

        rows = fill_jointly(loaded, texts, batch_size=batch_size)
    else:
        rows = loaded.predict(texts, batch_size=batch_size)
    for row in rows:
        if len(row["masks"]) < row["text"].count(_MASK):
            raise UsageError(
                f"a text must fit into the model's {loaded.sequence_length} tokens. Received: one whose {_MASK} is cut "
                f"off: {row['text']}; shorten it"
            )
        row["masks"] = [dict(list(mask.items())[:top]) for mask in row["masks"]]
        options.print_json(row) if as_json else _show(row)


def _show(row: dict[str, Any]) -> None:
    click.echo(row["text"])
    if "filled" in row:
        click.echo(row["filled"])
    for number, mask in enumerate(row["masks"], 1):
        if len(row["masks"]) > 1:
            click.echo(f"  mask {number}")
        for piece, probability in mask.items():
            click.echo(f"  {probability:7.4f}  {piece}")

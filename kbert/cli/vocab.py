"""`kbert vocab`."""

from __future__ import annotations

import click

from kbert.cli import options


@click.group()
def vocab() -> None:
    """Train a WordPiece vocabulary."""


@vocab.command()
@options.INPUTS
@click.option("--size", default=30_522, show_default=True, type=click.IntRange(5), help="Most entries.")
@options.output("The vocab.txt to write.", dir_okay=False)
@options.CASED
@click.option(
    "--character-coverage",
    default=0.9995,
    show_default=True,
    help="Part of the characters that get an entry.",
)
@click.option("--minimum-frequency", default=2, show_default=True, help="Words and pieces seen less are left out.")
def train(
    inputs: tuple[str, ...],
    size: int,
    output: str,
    cased: bool,
    character_coverage: float,
    minimum_frequency: int,
) -> None:
    """Train a vocabulary on text files (.gz, .bz2, .xz, .zst too), folders or globs."""
    from kbert.text.vocabulary_training import train_vocabulary

    with options.byte_progress("counting words") as update:
        vocabulary = train_vocabulary(
            inputs,
            size=size,
            lowercase=not cased,
            character_coverage=character_coverage,
            minimum_frequency=minimum_frequency,
            progress=lambda stage, done, total: update(done, total) if total else None,
        )
    vocabulary.save(output)
    fewer = "" if len(vocabulary) == size else f" (the text has no more than these; --size was {size:,})"
    click.echo(f"{len(vocabulary):,} entries in {output}{fewer}", err=True)

"""`kbert vocab`."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from kbert.cli import options
from kbert.runtime.progress_bar import progress_bar


@click.group()
def vocab() -> None:
    """Train a WordPiece vocabulary, look at one, or extend that of a model."""


@vocab.command()
@options.INPUTS
@click.option("--size", default=30_522, show_default=True, type=click.IntRange(5), help="Most entries.")
@options.output("The vocab.txt to write.", dir_okay=False)
@options.CASED
@options.source
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
    **source: Any,
) -> None:
    """Train a vocabulary.

    INPUT is what `kbert corpus build` takes: files (.gz, .bz2, .xz, .zst too), folders or globs, or datasets by name.
    """
    from kbert.sources.source import Source, SourceSettings
    from kbert.text.vocabulary_training import train_vocabulary

    reader = Source(inputs, SourceSettings(**source))
    with progress_bar("counting words", "bytes") as update:
        vocabulary = train_vocabulary(
            reader,
            size=size,
            lowercase=not cased,
            character_coverage=character_coverage,
            minimum_frequency=minimum_frequency,
            progress=lambda stage, done, total: update(done, total) if total else None,
        )
    vocabulary.save(output)
    fewer = "" if len(vocabulary) == size else f" (the text has no more than these; --size was {size:,})"
    click.echo(f"{len(vocabulary):,} entries in {output}{fewer}", err=True)
    options.tell_left_out(reader.counts)


@vocab.command()
@click.argument("vocabulary", type=click.Path(exists=True, dir_okay=False), metavar="VOCAB")
@click.option("--sample", multiple=True, required=True, metavar="FILE", help="Text to look at; may be given again.")
@click.option("--beside", type=click.Path(exists=True, dir_okay=False), help="Another vocabulary to compare with.")
@options.CASED
@click.option("--beside-cased", is_flag=True, help="Keep case and accents for the other one.")
@options.source
@options.JSON
def inspect(
    vocabulary: str,
    sample: tuple[str, ...],
    beside: str | None,
    cased: bool,
    beside_cased: bool,
    as_json: bool,
    **source: Any,
) -> None:
    """Show how the vocabulary VOCAB fits a sample: pieces per word, words it cannot spell, entries never used."""
    from kbert.sources.source import Source, SourceSettings
    from kbert.text.tokenizer import Tokenizer
    from kbert.text.vocabulary_statistics import VocabularyStatistics, add_sample

    given = [(vocabulary, cased)]
    names = [vocabulary]
    if beside:
        given.append((beside, beside_cased))
        names.append(beside if beside != vocabulary else f"{beside} (again)")
    found = [VocabularyStatistics(Tokenizer(path, lowercase=not keeps_case)) for path, keeps_case in given]
    reader = Source(sample, SourceSettings(**source))
    with progress_bar("reading the sample", "bytes") as update:
        add_sample(reader, found, progress=update)
    options.tell_left_out(reader.counts)
    facts = {name: statistics.facts() for name, statistics in zip(names, found, strict=True)}
    if as_json:
        options.print_json(facts)
        return
    from kbert.cli.vocab_table import print_vocabularies

    print_vocabularies(facts)


@vocab.command()
@click.argument("model", type=click.Path(exists=True, file_okay=False), metavar="MODEL")
@click.option("--input", "inputs", multiple=True, required=True, metavar="FILE", help="Text of the domain; repeatable.")
@click.option("--add", default=1000, show_default=True, type=click.IntRange(1), help="Most words to add.")
@options.output("The folder of the new model.", file_okay=False)
@click.option("--use-unused", is_flag=True, help="Give away the places of [unused0], [unused1] … first.")
@click.option("--minimum-frequency", default=5, show_default=True, type=click.IntRange(1), help="Rarer words stay out.")
@options.source
@options.JSON
def extend(
    model: str,
    inputs: tuple[str, ...],
    add: int,
    output: str,
    use_unused: bool,
    minimum_frequency: int,
    as_json: bool,
    **source: Any,
) -> None:
    """Write a copy of MODEL whose vocabulary has the words of a domain, too, for `kbert pretrain` to go on from.

    Old tokens keep ids and weights; a new word begins as the mean of its old pieces.
    """
    from kbert.conversion.vocabulary_extension import extend_vocabulary
    from kbert.sources.source import SourceSettings

    with progress_bar("counting words", "bytes") as update:
        extension = extend_vocabulary(
            model,
            inputs=inputs,
            add=add,
            output=output,
            use_unused=use_unused,
            minimum_frequency=minimum_frequency,
            source=SourceSettings(**source),
            progress=update,
        )
    options.tell_left_out(extension.left_out)
    if as_json:
        options.print_json(dataclasses.asdict(extension))
        return
    click.echo(
        f"{len(extension.words):,} words added ({', '.join(list(extension.words)[:8])} …), "
        f"{extension.vocabulary_size:,} entries; the text is {extension.tokens_before:,} tokens before, "
        f"{extension.tokens_after:,} after: {output}",
        err=True,
    )

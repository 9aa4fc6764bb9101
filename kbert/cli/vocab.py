"""The commands of `kbert vocab`."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import click

from kbert.cli import options
from kbert.errors import UsageError
from kbert.runtime.progress_bar import progress_bar

_WORDS_SHOWN = 8


@click.group()
def vocab() -> None:
    """Train, inspect or extend a WordPiece vocabulary."""


@vocab.command()
@options.INPUTS
@click.option(
    "--size", default=30_522, show_default=True, type=click.IntRange(5), help="The maximum number of entries."
)
@options.output("The .txt file to write; or a folder, which also stores how text is normalized.")
@options.CASED
@options.ACCENTS
@options.source
@click.option(
    "--character-coverage",
    default=0.9995,
    show_default=True,
    help="The fraction of the characters of the text that get an entry.",
)
@click.option(
    "--minimum-frequency", default=2, show_default=True, help="Words and pieces that occur less often get no entry."
)
def train(
    inputs: tuple[str, ...],
    size: int,
    output: str,
    cased: bool,
    strip_accents: bool | None,
    character_coverage: float,
    minimum_frequency: int,
    **source: Any,
) -> None:
    """Train a vocabulary.

    INPUT is a file (also .gz, .bz2, .xz or .zst), a folder, a glob or a named dataset, as in `kbert corpus build`.
    """
    from kbert.sources.source import Source, SourceSettings
    from kbert.text.tokenizer_files import save_tokenizer
    from kbert.text.vocabulary_training import train_tokenizer

    is_file = output.endswith(".txt") or os.path.isfile(output)
    if os.path.isdir(output) and (is_file or os.listdir(output)):
        raise UsageError(f"--output must be a vocab.txt, or a new or empty folder. Received: {output}")
    reader = Source(inputs, SourceSettings(**source))
    with progress_bar("counting words", "bytes") as update:
        tokenizer = train_tokenizer(
            reader,
            size=size,
            cased=cased,
            strip_accents=strip_accents,
            character_coverage=character_coverage,
            minimum_frequency=minimum_frequency,
            progress=lambda stage, done, total: update(done, total) if total else None,
        )
    vocabulary = tokenizer.vocabulary
    if is_file:
        vocabulary.save(output)
    else:
        os.makedirs(output, exist_ok=True)
        save_tokenizer(tokenizer, output)
    fewer = "" if len(vocabulary) == size else f" (the text has no more than these; --size was {size:,})"
    click.echo(f"{len(vocabulary):,} entries in {output}{fewer}", err=True)
    options.tell_left_out(reader.counts)
    accents = [] if strip_accents is None else ["--strip-accents" if strip_accents else "--keep-accents"]
    chosen = [*(["--cased"] if cased else []), *accents]
    if is_file and chosen:
        click.echo(
            f"{output} does not hold how text is normalized: give {' '.join(chosen)} to `kbert corpus build`, too. A "
            "folder as --output would hold it",
            err=True,
        )


@vocab.command()
@click.argument("vocabulary", type=options.VOCABULARY, metavar="VOCAB")
@click.option(
    "--sample",
    multiple=True,
    required=True,
    metavar="FILE",
    help="A text file for the statistics. The option can be repeated.",
)
@click.option("--beside", type=options.VOCABULARY, help="A second vocabulary to compare with.")
@options.CASED
@options.ACCENTS
@click.option("--beside-cased", is_flag=True, help="Keep case and accents for the second vocabulary.")
@options.source
@options.JSON
def inspect(
    vocabulary: str,
    sample: tuple[str, ...],
    beside: str | None,
    cased: bool,
    strip_accents: bool | None,
    beside_cased: bool,
    as_json: bool,
    **source: Any,
) -> None:
    """Show how the vocabulary VOCAB fits a sample: pieces per word, words that are [UNK], and unused entries.

    VOCAB is a vocab.txt, or a tokenizer.json or a folder of a model or of `kbert vocab train`, whose settings are used.
    """
    from kbert.model_folder.tokenizer import tokenizer_from
    from kbert.sources.source import Source, SourceSettings
    from kbert.text.vocabulary_statistics import VocabularyStatistics, add_sample

    tokenizers = [tokenizer_from(vocabulary, cased=cased, strip_accents=strip_accents)]
    names = [vocabulary]
    if beside:
        tokenizers.append(tokenizer_from(beside, cased=beside_cased))
        names.append(beside if beside != vocabulary else f"{beside} (again)")
    found = [VocabularyStatistics(tokenizer) for tokenizer in tokenizers]
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
@click.argument("model", type=options.MODEL_FOLDER, metavar="MODEL")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    required=True,
    metavar="FILE",
    help="A text file of the domain. The option can be repeated.",
)
@click.option(
    "--add", default=1000, show_default=True, type=click.IntRange(1), help="The maximum number of words to add."
)
@options.output("The folder of the new model.", file_okay=False)
@click.option("--use-unused", is_flag=True, help="Replace the entries [unused0], [unused1] … first.")
@click.option(
    "--minimum-frequency",
    default=5,
    show_default=True,
    type=click.IntRange(1),
    help="Words that occur less often are not added.",
)
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
    """Write a copy of MODEL whose vocabulary also has words of a domain, so that `kbert pretrain` can continue from it.

    Existing tokens keep their ids and weights. The vector of a new word starts as the mean of those of its old pieces.
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
    first = [*list(extension.words)[:_WORDS_SHOWN], *(["…"] if len(extension.words) > _WORDS_SHOWN else [])]
    click.echo(
        f"{len(extension.words):,} words added ({', '.join(first)}), "
        f"{extension.vocabulary_size:,} entries; the text is {extension.tokens_before:,} tokens before, "
        f"{extension.tokens_after:,} after: {output}",
        err=True,
    )

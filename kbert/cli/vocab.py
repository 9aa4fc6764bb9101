"""The commands of `kbert vocab`."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from kbert.cli import options
from kbert.conversion.command_options import ExtendVocabularyOptions, TrimVocabularyOptions
from kbert.options import REQUIRED, as_typed, changed_options, option_infos
from kbert.runtime.progress_bar import progress_bar
from kbert.sources.settings import SourceSettings
from kbert.text.options import TrainVocabularyOptions

_WORDS_SHOWN = 8


@click.group()
def vocab() -> None:
    """Train, inspect, extend or trim a WordPiece vocabulary."""


_TRAIN_INFOS = dict(option_infos(TrainVocabularyOptions))
# A Python program has the vocabulary without a file; a command would lose it.
_TRAIN_INFOS["output"] = dataclasses.replace(_TRAIN_INFOS["output"], default=REQUIRED, default_help="")
_NORMALIZATION = ("cased", "strip_accents")


@vocab.command(cls=options.SectionedCommand)
@options.INPUTS
@options.reading_text(_TRAIN_INFOS)
def train(inputs: tuple[str, ...], **settings: Any) -> None:
    """Train a vocabulary.

    INPUT is a file (also .gz, .bz2, .xz or .zst), a folder, a glob or a named dataset, as in `kbert corpus build`.
    """
    chosen = TrainVocabularyOptions(**settings)
    from kbert.sources.source import Source
    from kbert.text.tokenizer_files.writing import is_vocabulary_file
    from kbert.text.vocabulary_training import train_tokenizer

    reader = Source(inputs, chosen.narrowed(SourceSettings))
    with progress_bar("counting words", "bytes") as update:
        tokenizer = train_tokenizer(
            reader,
            options=chosen,
            progress=lambda stage, done, total: update(done, total) if total else None,
        )
    size, output, vocabulary = chosen.size, settings["output"], tokenizer.vocabulary
    fewer = "" if len(vocabulary) == size else f" (the text has no more than these; --size was {size:,})"
    click.echo(f"{len(vocabulary):,} entries in {output}{fewer}", err=True)
    options.tell_left_out(reader.counts)
    changed = [name for name in changed_options(chosen) if name in _NORMALIZATION]
    if changed and is_vocabulary_file(output):
        given = " ".join(as_typed(_TRAIN_INFOS[name], getattr(chosen, name)) for name in changed)
        click.echo(
            f"{output} does not hold how text is normalized: give {given} to `kbert corpus build`, too. A "
            "folder as --output would hold it",
            err=True,
        )


@vocab.command(cls=options.SectionedCommand, short_help="Show how a vocabulary fits a sample of text.")
@click.argument("vocabulary", type=options.VOCABULARY, metavar="VOCAB")
@click.option(
    "--sample",
    multiple=True,
    required=True,
    metavar="FILE",
    help="A text file for the statistics. The option can be repeated.",
)
@click.option("--beside", type=options.VOCABULARY, help="A second vocabulary to compare with.")
@options.declared(_TRAIN_INFOS, only=_NORMALIZATION)
@click.option("--beside-cased", is_flag=True, help="Keep case and accents for the second vocabulary.")
@options.reading_text(option_infos(SourceSettings))
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
    from kbert.sources.source import Source
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


@vocab.command(cls=options.SectionedCommand, short_help="Add words of a domain to the vocabulary of a model.")
@options.MODEL
@options.reading_text(option_infos(ExtendVocabularyOptions))
@options.JSON
def extend(model: str, as_json: bool, **settings: Any) -> None:
    """Write a copy of MODEL whose vocabulary also has words of a domain, so that `kbert pretrain` can continue from it.

    Existing tokens keep their ids and weights. The vector of a new word starts as the mean of those of its old pieces.
    """
    chosen = ExtendVocabularyOptions(**settings)
    from kbert.conversion.vocabulary_extension import extend_vocabulary

    with progress_bar("counting words", "bytes") as update:
        extension = extend_vocabulary(model, options=chosen, progress=update)
    options.tell_left_out(extension.left_out)
    if as_json:
        options.print_json(dataclasses.asdict(extension))
        return
    first = [*list(extension.words)[:_WORDS_SHOWN], *(["…"] if len(extension.words) > _WORDS_SHOWN else [])]
    click.echo(
        f"{len(extension.words):,} words added ({', '.join(first)}), "
        f"{extension.vocabulary_size:,} entries; the text is {extension.tokens_before:,} tokens before, "
        f"{extension.tokens_after:,} after: {chosen.output}",
        err=True,
    )


@vocab.command(cls=options.SectionedCommand, short_help="Remove the tokens that a corpus does not use from a model.")
@options.MODEL
@options.reading_text(option_infos(TrimVocabularyOptions))
@options.JSON
def trim(model: str, as_json: bool, **settings: Any) -> None:
    """Write a copy of MODEL that is smaller, since its vocabulary has only the tokens that a corpus uses.

    Texts of the corpus have the same tokens and the same outputs as before.
    """
    chosen = TrimVocabularyOptions(**settings)
    from kbert.conversion.vocabulary_trimming import trim_vocabulary

    with progress_bar("counting tokens", "bytes") as update:
        trimming = trim_vocabulary(model, options=chosen, progress=update)
    options.tell_left_out(trimming.left_out)
    if as_json:
        options.print_json(dataclasses.asdict(trimming))
        return
    click.echo(
        f"{trimming.entries_after:,} of {trimming.entries_before:,} entries kept ({trimming.used:,} that the corpus "
        f"uses, {trimming.characters:,} other characters); the weights are {trimming.bytes_before / 1e6:,.1f} MB "
        f"before, {trimming.bytes_after / 1e6:,.1f} MB after: {chosen.output}",
        err=True,
    )
    if trimming.unknown_before is not None:
        click.echo(
            f"held-out text: {trimming.unknown_before:.3%} of {trimming.held_out_before:,} tokens are [UNK] before, "
            f"{trimming.unknown_after:.3%} of {trimming.held_out_after:,} after",
            err=True,
        )

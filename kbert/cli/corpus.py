"""The commands of `kbert corpus`."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import click

from kbert.cli import options
from kbert.cli.corpus_inspect import inspect
from kbert.cli.runner_options import RunnerCommand, runner_options
from kbert.corpus.options import BuildCorpusOptions
from kbert.options import option_infos
from kbert.runtime.progress_bar import progress_bar


@click.group()
def corpus() -> None:
    """Build pretraining records from text, and inspect them."""


corpus.add_command(inspect)


_INFOS = dict(option_infos(BuildCorpusOptions))
# A Python program starts no processes unless it asks for them, since they import its main module.
_INFOS["workers"] = dataclasses.replace(_INFOS["workers"], default=None, default_help="all cores")


@corpus.command(cls=RunnerCommand)
@options.INPUTS
@options.reading_text(_INFOS)
def build(inputs: tuple[str, ...], workers: int | None, **settings: Any) -> None:
    """Build pretraining records from text.

    INPUT is a file (also .gz, .bz2, .xz or .zst), a folder or a glob. The files are text with one sentence or paragraph
    per line and a blank line between documents, JSON lines, CSV, TSV, Excel, Parquet, or the output of WikiExtractor.
    INPUT can also name a dataset: tfds:NAME[/CONFIG][:SPLIT] or hf-datasets:OWNER/NAME[:CONFIG][:SPLIT].

    With --runner, options for Apache Beam follow after --, for example: kbert corpus build TEXT --vocab vocab.txt
    --output corpus --runner FlinkRunner -- --flink_master=host:8081 --parallelism=32
    """
    chosen = BuildCorpusOptions(
        **settings,
        workers=os.cpu_count() or 1 if workers is None else workers,
        runner_options=runner_options(),
    )
    from kbert.corpus.building.build import build_corpus
    from kbert.corpus.building.chunks import masked_counts
    from kbert.sources.source import describe_formats
    from kbert.text.personal_data.masker import describe_counts

    with progress_bar("building", "bytes") as update:
        manifest = build_corpus(
            inputs,
            options=chosen,
            progress=lambda stage, done, total: update(done, total, stage),
        )
    counts = manifest.counts
    labels = {"random_next": "with a random next text", "swapped": "swapped"}
    shares = [f" ({counts[name] / counts['examples']:.1%} {words})" for name, words in labels.items() if name in counts]
    examples, documents, shards = (
        f"{count:,} {name if count == 1 else name + 's'}"
        for name, count in (
            ("example", counts["examples"]),
            ("document", counts["documents"]),
            ("shard", len(manifest.shards)),
        )
    )
    click.echo(f"{examples}{''.join(shares)} of {documents} in {shards}: {settings['output']}", err=True)
    options.tell_left_out(counts)
    if chosen.mask_pii:
        click.echo(describe_counts(masked_counts(counts)), err=True)
    click.echo(f"read: {describe_formats(manifest.settings['formats'])}", err=True)

"""The commands of `kbert adapters`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.conversion.command_options import ExtractAdapterOptions, MergeAdapterOptions
from kbert.options import option_infos


@click.group()
def adapters() -> None:
    """Merge adapters into their base models, or copy them out of runs."""


@adapters.command(cls=options.SectionedCommand, short_help="Merge an adapter into its base model.")
@click.argument("adapter", type=options.MODEL_FOLDER)
@options.declared(option_infos(MergeAdapterOptions))
def merge(adapter: str, **settings: Any) -> None:
    """Merge ADAPTER into its base model, and write a whole model, which every program for BERT opens.

    ADAPTER is the folder of an adapter that kbert or PEFT wrote, or hf://owner/name. Bottleneck adapters cannot be
    merged: use their folders as models.
    """
    chosen = MergeAdapterOptions(**settings)
    from kbert.pretrained.adapter_folders import merge_adapter

    bundle = merge_adapter(adapter, options=chosen)
    click.echo(f"{bundle.architecture}, {len(bundle.tensors)} tensors: {chosen.output}", err=True)


@adapters.command(cls=options.SectionedCommand, short_help="Copy the adapter of a run to a folder of its own.")
@click.argument("run", type=click.Path(exists=True, file_okay=False))
@options.declared(option_infos(ExtractAdapterOptions))
def extract(run: str, **settings: Any) -> None:
    """Copy the adapter of RUN, a run of `kbert finetune --adapter`, to a folder of its own."""
    chosen = ExtractAdapterOptions(**settings)
    from kbert.pretrained.adapter_folders import extract_adapter

    extract_adapter(run, options=chosen)
    click.echo(f"adapter of {run}: {chosen.output}", err=True)

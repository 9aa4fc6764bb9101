"""The command `kbert mask-pii`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.options import option_infos
from kbert.privacy.options import MaskPiiOptions


@click.command("mask-pii")
@click.argument("inputs", nargs=-1, required=True, metavar="FILE...")
@options.declared(option_infos(MaskPiiOptions))
@options.JSON
def mask_pii(inputs: tuple[str, ...], as_json: bool, **settings: Any) -> None:
    """Replace personal data in files: addresses, numbers of telephones, cards, accounts and identities.

    FILE is text, JSON lines, CSV or TSV (also .gz, .bz2, .xz or .zst), a folder or a glob. Only numbers of what was
    replaced are printed. What no detector finds stays in the text, so read samples of the output before you share it.
    """
    chosen = MaskPiiOptions(**settings)
    if chosen.tagger is not None:
        options.import_tensorflow_for(None, None)
    from kbert.privacy.mask_files import mask_pii as run
    from kbert.text.personal_data.masker import describe_counts

    counts = run(inputs, options=chosen)
    if as_json:
        options.print_json(counts)
    else:
        click.echo(f"{describe_counts(counts)}: {chosen.output}", err=True)

"""The command `kbert audit`."""

from __future__ import annotations

from typing import Any

import click

from kbert.cli import options
from kbert.options import option_infos
from kbert.runtime.tensorflow import import_tensorflow
from kbert.tasks.catalogue import all_columns
from kbert.training.options import SECTIONS, AuditOptions


@click.command(cls=options.SectionedCommand)
@options.MODEL
@options.columns(all_columns().values(), defaults=False)
@options.reading(labelled=True)
@options.declared(option_infos(AuditOptions), SECTIONS)
@options.JSON
def audit(model: str, as_json: bool, **settings: Any) -> None:
    """Measure whether the losses of the fine-tuned MODEL tell the rows that it was trained on from others.

    The files are read like the training file of MODEL, with the same columns, delimiter, encoding and so on. Options
    override these.
    """
    reading = options.chosen_reading(settings)
    chosen = AuditOptions(**{name: settings[name] for name in option_infos(AuditOptions)})
    import_tensorflow()
    from kbert.training.audit import audit as run_audit

    found = run_audit(model, options=chosen, **reading)
    if as_json:
        options.print_json(found)
        return
    click.echo(f"rows of each kind: {found['rows']:,}")
    click.echo(f"mean loss: members {found['member_loss']:.4f}, non-members {found['non_member_loss']:.4f}")
    low, high = found["auc_interval"]
    click.echo(f"AUC: {found['auc']:.4f} (95 % interval {low:.4f} to {high:.4f})")
    for rate, value in found["true_positive_rates"].items():
        shown = "too few rows" if value is None else f"{value:.2%}"
        click.echo(f"true positives at {float(rate):.1%} false positives: {shown}")
    click.echo(f"lower bound of epsilon: {found['epsilon_lower_bound']:.2f}")
    click.echo(found["meaning"])

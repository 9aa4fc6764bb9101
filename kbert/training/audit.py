"""An audit of a fine-tuned model: whether its losses tell which rows it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kbert.errors import UsageError
from kbert.files import PathLike
from kbert.options import option_error, with_options
from kbert.prediction.loading import load
from kbert.prediction.predictor import Predictor
from kbert.privacy.membership import Membership, measure_membership
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.training.loop.row_losses import row_losses
from kbert.training.options import AuditOptions

_LEAST_ROWS = 10
"""The minimum number of rows of each kind."""


@with_options(AuditOptions)
def audit(model: PathLike, *, options: AuditOptions, **reading: Any) -> dict[str, Any]:
    """Measures whether the losses of a fine-tuned model tell the rows that it was trained on from others.

    The attack takes a row for a member of the training data if its loss is low. Equally many rows of both files are
    compared, which `seed` chooses.

    Args:
        model: A model folder.
        options: All of these options in one object.
        reading: The columns of a table, as `text_column` and so on, and the options of the task that describe the
            files, such as `delimiter`. The defaults are those used in fine-tuning.

    Returns:
        "rows", the number of rows of each kind; "auc", the probability that a member has a lower loss than a
        non-member, and "auc_interval", its 95 % interval; "true_positive_rates", the part of the members that is found
        if 1 % and 0.1 % of the non-members are taken for members, by the rate as text, None with too few rows;
        "epsilon_lower_bound", the epsilon that the model exceeds with a confidence of 95 %; "member_loss" and
        "non_member_loss", the mean losses; and "meaning", a sentence about these figures.

    Raises:
        UsageError: The training rows of the task have no losses of their own.
        DataError: A file is invalid; the message names the file and the line.
        BundleError: The model folder is damaged.

    Example:
        >>> rows = [{"text": f"the cat {word}", "label": "fine"} for word in "a b c d e f g h i j".split()]
        >>> found = kbert.audit("RUN", members=rows, non_members=rows)
        >>> found["rows"], found["auc"]
        (10, 0.5)
    """
    target = load(model)
    reference = None if options.reference is None else load(options.reference)
    losses = _losses(target, options, reading)
    if reference is not None:
        if reference.task.name != target.task.name:
            raise option_error(
                lambda spell: (
                    f"{spell('reference')} must be a model for {target.task.name}. Received: a model for "
                    f"{reference.task.name}"
                )
            )
        easy = _losses(reference, options, reading)
        scores = {name: easy[name] - losses[name] for name in losses}
    else:
        scores = {name: -values for name, values in losses.items()}
    count = min(map(len, scores.values()))
    if count < _LEAST_ROWS:
        raise UsageError(f"an audit needs at least {_LEAST_ROWS} rows of each kind. Received: {count}")
    rng = np.random.default_rng(options.seed)
    chosen = {name: np.sort(rng.permutation(len(values))[:count]) for name, values in scores.items()}
    members, non_members = (scores[name][chosen[name]] for name in ("members", "non_members"))
    found = measure_membership(members, non_members, seed=options.seed)
    return {
        "rows": count,
        "auc": found.auc,
        "auc_interval": list(found.auc_interval),
        "true_positive_rates": {f"{rate:g}": value for rate, value in found.true_positive_rates.items()},
        "epsilon_lower_bound": found.epsilon_bound,
        "member_loss": float(losses["members"][chosen["members"]].mean()),
        "non_member_loss": float(losses["non_members"][chosen["non_members"]].mean()),
        "meaning": _meaning(found),
    }


def _losses(predictor: Predictor, options: AuditOptions, reading: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns the losses of a sample of the members and of the non-members, which `seed` chooses."""
    task = predictor.task
    if not isinstance(task, TrainableTask):
        raise UsageError(f"an audit is for fine-tuned models. Received: a model for {task.name}")
    if task.not_separable:
        raise UsageError(f"a model for {task.name} cannot be audited by losses of rows, since {task.not_separable}")
    losses = {}
    for name in ("members", "non_members"):
        examples, _ = predictor.labelled_examples(getattr(options, name), skip_bad=options.skip_bad, **reading)
        kept = np.random.default_rng(options.seed).permutation(len(examples))[: options.rows]
        losses[name] = row_losses(
            predictor.model,
            task,
            task.training_rows([examples[index] for index in np.sort(kept)], predictor.text_model.encode),
            batch_size=options.batch_size,
            sequence_length=predictor.sequence_length,
            pad_id=predictor.tokenizer.vocabulary.pad_id,
        )
    return losses


def _meaning(found: Membership) -> str:
    low, high = found.auc_interval
    if low > 0.5:
        verdict = "so the losses tell members from others more often than chance"
    elif high < 0.5:
        verdict = "so members have higher losses than others, which suggests that the files differ in another way"
    else:
        verdict = "so this attack does not tell members from others"
    return (
        f"of a training row and another one, the training row has the lower loss in {found.auc:.1%} of the cases "
        f"(interval {low:.1%} to {high:.1%}, chance 50 %), {verdict}"
    )

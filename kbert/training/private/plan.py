"""The plan of a private run: its noise, and the guarantee in numbers and in words."""

from __future__ import annotations

import dataclasses
from typing import Any

from kbert.options import option_error
from kbert.privacy.accounting import PRIVACY_LOSS, best_accountant, epsilon, noise_for
from kbert.tasks.class_weights import BALANCED
from kbert.training.options import PrivacyOptions
from kbert.training.private.defaults import CLIP, default_delta

NOT_COVERED = (
    "the names of the labels, the vocabulary, the sequence length and the number of rows",
    "the validation data, and what is chosen on them: the step of the best weights, thresholds and temperatures",
    "hyper-parameters that were tried on the same rows: every run on them has an epsilon of its own, and they add up",
    "several rows of the same person, whose epsilons add up as well",
)
"""What the guarantee does not cover."""


@dataclasses.dataclass(frozen=True)
class PrivacyPlan:
    """The noise of a private run, and what it guarantees.

    Args:
        epsilon: The ε that was requested.
        delta: The δ.
        clip: The norm to which the gradient of each row is clipped.
        rows: The number of training rows.
        draw_size: The mean number of rows that a step draws.
        steps: The number of steps.
        noise_multiplier: The standard deviation of the noise, divided by `clip`.
        accountant: The accountant; see kbert.privacy.accounting.
    """

    epsilon: float
    delta: float
    clip: float
    rows: int
    draw_size: int
    steps: int
    noise_multiplier: float
    accountant: str

    @property
    def sampling_rate(self) -> float:
        """The probability with which a step draws a row."""
        return self.draw_size / self.rows

    def describe(self) -> list[str]:
        """Returns sentences about the guarantee and its limits, for a log."""
        accountant = {PRIVACY_LOSS: "PLD, of dp-accounting"}.get(self.accountant, self.accountant)
        return [
            f"private: epsilon {self.epsilon:g} with delta {self.delta:.3g} for each training row. Each of "
            f"{self.steps:,} steps draws {self.draw_size:,} of {self.rows:,} rows on average (rate "
            f"{self.sampling_rate:.4g}), clips their gradients to {self.clip:g}, and adds noise of "
            f"{self.noise_multiplier:.4g} times this norm (accountant {accountant})",
            f"private: epsilon does not cover {'; '.join(NOT_COVERED)}",
        ]

    def defaults(self) -> dict[str, Any]:
        """Returns the values of options that may have been left out, for run.json."""
        return {"delta": self.delta, "clip": self.clip, "draw_size": self.draw_size}

    def derived(self) -> dict[str, Any]:
        """Returns the values for run.json, with which a resumed run must agree."""
        return dataclasses.asdict(self)

    def settings(self, steps: int) -> dict[str, Any]:
        """Returns the guarantee for kbert.json.

        Args:
            steps: The number of steps that were done, which is smaller than planned after early stopping.
        """
        return {
            "epsilon": self._spent(steps),
            "delta": self.delta,
            "noise_multiplier": self.noise_multiplier,
            "sampling_rate": self.sampling_rate,
            "steps": steps,
            "clip": self.clip,
            "rows": self.rows,
            "accountant": self.accountant,
            "not_covered": list(NOT_COVERED),
        }

    def card_rows(self, steps: int) -> dict[str, str]:
        """Returns the rows of the model card.

        Args:
            steps: See `settings`.
        """
        return {
            "Privacy": f"differential privacy of each training row: epsilon {self._spent(steps):.3g}, delta "
            f"{self.delta:.3g} (adding or removing a row). DP-SGD with noise {self.noise_multiplier:.4g}, sampling "
            f"rate {self.sampling_rate:.4g}, {steps:,} steps, clip {self.clip:g}; accountant {self.accountant}",
            "Not private": "; ".join(NOT_COVERED),
        }

    def _spent(self, steps: int) -> float:
        return epsilon(self.noise_multiplier, self.sampling_rate, steps, self.delta, self.accountant)


def plan_privacy(options: PrivacyOptions, *, rows: int, draw_size: int, steps: int) -> PrivacyPlan:
    """Returns the plan of a private run, with the smallest noise that the requested ε allows.

    Args:
        options: The options of the run, whose `private` is not None.
        rows: The number of training rows.
        draw_size: The mean number of rows that a step draws.
        steps: The number of steps.

    Raises:
        OptionError: δ is too large for the number of rows, or a draw has more rows than there are.
        UsageError: No noise is enough.
    """
    assert options.private is not None
    if draw_size > rows:
        raise option_error(
            lambda spell: (
                f"{spell('draw_size')} must be at most the number of training rows, {rows:,}. "
                f"Received: {spell('draw_size', draw_size)}"
            )
        )
    delta = default_delta(rows) if options.delta is None else options.delta
    if delta * rows >= 1:
        raise option_error(
            lambda spell: (
                f"{spell('delta')} must be below 1 / {rows:,} rows = {1 / rows:.3g}, since publishing one of the rows "
                f"would satisfy a larger one. Received: {spell('delta', delta)}"
            )
        )
    accountant = best_accountant()
    rate = draw_size / rows
    noise = noise_for(options.private, rate, steps, delta, accountant)
    clip = CLIP if options.clip is None else options.clip
    return PrivacyPlan(options.private, delta, clip, rows, draw_size, steps, noise, accountant)


def check_private_rows(task: str, reason: str, examples: int, rows: int) -> None:
    """Checks that each training example is one row, whose gradient can be clipped.

    Args:
        task: The name of the task.
        reason: Why models of the task cannot be trained with privacy; "" if they can.
        examples: The number of training examples.
        rows: The number of training rows made of them.

    Raises:
        OptionError: This is not so.
    """
    if reason:
        raise option_error(
            lambda spell: (
                f"kbert trains models for {task} without privacy only, since {reason}; leave {spell('private')} out"
            )
        )
    if examples != rows:
        raise option_error(
            lambda spell: (
                f"{spell('private')} needs one training row for each example, since epsilon is that of a row. "
                f"{examples:,} examples became {rows:,} rows; give a larger {spell('sequence_length')}, or shorter "
                "texts"
            )
        )


def check_unmixed_rows(mixed: str) -> None:
    """Checks that each training example has the texts of its own row only.

    Args:
        mixed: What `TrainableTask.mixed_rows` returned.

    Raises:
        OptionError: This is not so.
    """
    if mixed:
        raise option_error(
            lambda spell: (
                f"{spell('private')} needs training examples with the texts of their own rows, since epsilon is that "
                f"of a row. Received: {mixed}, or leave {spell('private')} out"
            )
        )


def check_class_weights(task_options: Any) -> None:
    """Checks that the options of a task do not make class weights from the numbers of training rows.

    Args:
        task_options: The options of the task.

    Raises:
        OptionError: They do.
    """
    if getattr(task_options, "class_weights", None) == BALANCED:
        raise option_error(
            lambda spell: (
                f"balanced class weights count the training rows without noise; give the weights of the classes, or "
                f"leave {spell('private')} out"
            )
        )


def check_one_device(replicas: int) -> None:
    """Checks that a private run has a single replica.

    Args:
        replicas: The number of replicas.

    Raises:
        OptionError: There are several.
    """
    if replicas > 1:
        raise option_error(
            lambda spell: (
                f"{spell('private')} trains on one device; give {spell('strategy', 'one')}. "
                f"Received: {replicas} devices"
            )
        )

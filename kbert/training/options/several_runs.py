"""The options of commands with several runs of fine-tuning: seeds, folds, and a search for hyper-parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from kbert.options import with_documented_fields
from kbert.training.options.finetuning import FinetuneOptions
from kbert.training.options.sections import (
    class_error,
    run_option,
)

SEARCHES = ("random", "bayesian", "grid")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _SeveralRunsOptions(FinetuneOptions):
    """The options that commands with several runs of `finetune` share."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.find_learning_rate:
            raise class_error(self, lambda spell: f"{spell('find_learning_rate')} is for a single run; leave it out")
        if self.private is not None:
            raise class_error(
                self,
                lambda spell: (
                    f"{spell('private')} holds for a single run: each further run on the same rows has an epsilon of "
                    f"its own, and they add up. Start each run by itself. Received: {spell('private', self.private)}"
                ),
            )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneSeedsOptions(_SeveralRunsOptions):
    """The options of `kbert.finetune_seeds`: those of `kbert.finetune`, and the number of seeds."""

    seeds: int = run_option(
        help="The number of models to train, each with a seed of its own in the folder `output`/seed-N. Their mean "
        "results are written as well.",
        minimum=2,
        free=True,
    )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossValidateOptions(_SeveralRunsOptions):
    """The options of `kbert.cross_validate`: those of `kbert.finetune`, and the number of folds."""

    folds: int = run_option(
        help="The number of folds of a cross-validation over `train`, each in the folder `output`/fold-N. Leave "
        "`validation` out.",
        minimum=2,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(each is not None for each in (self.validation, self.validation_split, self.fold)):
            raise class_error(
                self,
                lambda spell: (
                    f"cross-validation holds out training rows; leave {spell('validation')} and "
                    f"{spell('validation_split')} out"
                ),
            )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneOptions(_SeveralRunsOptions):
    """The options of `kbert.tune`: those of `kbert.finetune`, and the options of the search."""

    trials: int = run_option(help="The maximum number of trials.", details="A grid may have fewer points.", minimum=1,
                       free=True)  # fmt: skip
    search: str = run_option(
        "bayesian",
        "The method that chooses the values of the next trial.",
        details='"bayesian" is a tree-structured Parzen estimator (Optuna\'s TPE) that learns from the trials so far; '
        'its first trials are random. "grid" tries all combinations, with ten values for a range of real numbers.',
        choices=SEARCHES,
    )
    over: Mapping[str, str] | None = run_option(
        None,
        "An option to search over, with its range or its values: learning-rate=1e-5:1e-4, batch-size=16,32. May be "
        "repeated.",
        details="In Python, the options to search over with their ranges or values, such as "
        '{"learning_rate": "1e-5:1e-4", "batch_size": "16,32"}.',
        default_help="learning rates around the model's default, batch sizes, weight decays and warm-up proportions, "
        "except the options that are given",
        command=False,
    )

"""The options of pruning."""

from __future__ import annotations

import dataclasses

from kbert import files
from kbert.options import with_documented_fields
from kbert.training.options.distilling import TeacherOptions
from kbert.training.options.finetuning import AUGMENTATIONS
from kbert.training.options.sections import class_error, data_option, model_option, training_option


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class PruneOptions(TeacherOptions):
    """The options of `kbert.prune`: the parts to keep, and how the smaller model learns from the unpruned one.

    Example:
        >>> options = kbert.PruneOptions(layers=3, intermediate=0.5, train="train.csv", output="run")
        >>> options.rounds, options.temperature
        (3, 2.0)
    """

    # The student is made by pruning, and it keeps the tokenizer, so the command does not have these.
    model: str | files.PathLike = model_option("", "Not for pruning.", command=False, free=True)
    vocab: files.PathLike | None = model_option(None, "Not for pruning.", command=False, remembered=False)
    cased: bool = model_option(False, "Not for pruning.", command=False)
    # A fine-tuned model predicts no masked words, and each round has a learning rate of its own.
    augment: str | None = data_option(None, "Not for pruning.", command=False, choices=AUGMENTATIONS)
    find_learning_rate: bool = training_option(False, "Not for pruning.", command=False, remembered=False)
    augment_copies: int = data_option(1, "The number of copies of each text that `synonyms` adds.", minimum=1)

    layers: int | None = model_option(None, "The number of blocks to keep.", default_help="all", minimum=1)
    intermediate: float | None = model_option(
        None,
        "The fraction of the neurons to keep in the feed-forward layer of each block.",
        default_help="1",
        above=0,
        maximum=1,
    )
    rounds: int = training_option(
        3, "The number of rounds, in each of which a part is removed and the rest is trained.", minimum=1
    )
    round_epochs: float = training_option(
        1.0, "The number of passes over the training rows in each round but the last, which has `epochs`.", above=0
    )
    importance_rows: int = training_option(
        1024,
        "The maximum number of training rows from which the importance of neurons and blocks is computed.",
        minimum=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers is None and self.intermediate is None:
            raise class_error(
                self,
                lambda spell: (
                    f"expected what to keep: {spell('layers')}, {spell('intermediate')} or both. Received: neither"
                ),
            )
        for name in ("vocab", "cased", "augment", "find_learning_rate"):
            if getattr(self, name):
                raise class_error(
                    self,
                    lambda spell: f"{spell(name)} is not for pruning; leave it out",  # noqa: B023
                )

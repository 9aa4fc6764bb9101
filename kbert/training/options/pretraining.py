"""The options of pretraining."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kbert import files
from kbert.options import with_documented_fields
from kbert.training.options.sections import (
    class_error,
    data_option,
    devices_option,
    model_option,
    monitoring_option,
    optimizer_option,
    run_option,
    training_option,
)
from kbert.training.options.training import TrainingOptions

JIT = ("auto", "on", "off")
ON_SPIKE = ("stop", "rewind")
INITIALIZATIONS = ("random", "positional")


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainOptions(TrainingOptions):
    """The options of `kbert.pretrain`.

    Example:
        >>> options = kbert.PretrainOptions(corpus="corpus", model="tiny", output="run", steps=1000)
        >>> options.steps, options.learning_rate, options.on_spike
        (1000, 0.0001, 'stop')
    """

    # === Data ===
    corpus: files.PathLike | Sequence[files.PathLike] = data_option(
        help="A corpus folder that `kbert corpus build` wrote, or a folder or glob pattern of other TFRecord files. "
        "With `phases`, give one corpus for each phase, in the same order.",
        details="The model gets the vocabulary of the corpus. Files that the original create_pretraining_data.py or "
        "the Model Garden wrote need `vocab`.",
        free=True,
    )
    vocab: files.PathLike | None = data_option(
        None,
        "The vocabulary of a corpus without a manifest.json: a vocab.txt, or a tokenizer.json or folder that also "
        "holds the settings of the tokenizer.",
        path="vocabulary",
        remembered=False,
    )
    cased: bool = data_option(
        False, "The corpus without a manifest.json keeps case and accents; only for a `vocab` that is a vocab.txt."
    )
    pack_to: int | None = data_option(
        None,
        "Pack several short examples into each row of this number of tokens; they do not attend to each other.",
        minimum=8,
    )
    skip_corrupt: int = data_option(0, "The maximum number of damaged records to skip.", minimum=0, free=True)
    validation_corpus: files.PathLike | None = data_option(
        None,
        "A corpus with the same vocabulary for validation; it is never trained on, and its masks are fixed.",
        details="The validation loss decides which checkpoint is the best.",
        path="folder",
        free=True,
    )

    # === Model ===
    initialization: str = model_option(
        "random",
        'The initial weights of a preset. With "positional", heads of the first block attend to neighbouring tokens, '
        "and small models learn faster.",
        choices=INITIALIZATIONS,
    )

    # === Training ===
    steps: int | None = training_option(None, "The number of training steps.", minimum=1)
    phases: Sequence[tuple[int, int]] = training_option(
        (),
        "A phase of training, instead of `steps`: the sequence length of a corpus and the number of steps on it, such "
        "as 128:9000. One learning-rate schedule covers all phases.",
        flag="--phase",
        metavar="LENGTH:STEPS",
    )
    evaluate_every: int | None = training_option(
        None,
        "The number of steps between evaluations on `validation_corpus`.",
        minimum=1,
        default_help="the value of `checkpoint_every`",
    )
    on_spike: str = training_option(
        "stop",
        "What to do when the loss jumps or is not finite: stop, or rewind to the last checkpoint and skip the batches "
        "since then.",
        choices=ON_SPIKE,
    )
    spike_threshold: float | None = training_option(
        2.0,
        "The distance above the mean loss of the last 100 steps from which a loss counts as a jump. A jump is also "
        "more than six standard deviations above that mean.",
        details="With None, no finite loss counts as a jump.",
        above=0,
    )

    # === Optimizer ===
    learning_rate: float = optimizer_option(
        1e-4, "The peak learning rate, which is reached at the end of the warm-up.", above=0
    )
    warmup_steps: int | None = optimizer_option(
        None,
        "The number of steps in which the learning rate rises.",
        minimum=0,
        default_help="a tenth of the steps, at most 10,000",
    )
    bias_correction: bool | None = optimizer_option(
        None,
        "Correct the optimizer's moving averages for their initial value of 0.",
        default_help="on for LAMB and Muon, and off for AdamW as in the original BERT",
    )

    # === Devices ===
    jit: str = devices_option(
        "auto", 'Whether to compile the training step with XLA; "auto" compiles it on a GPU only.', choices=JIT
    )

    # === Run ===
    keep_checkpoints: int = run_option(
        2,
        "The number of latest checkpoints to keep. The checkpoint with the lowest loss is kept as well.",
        minimum=1,
        remembered=False,
    )

    # === Monitoring ===
    samples_every: int | None = monitoring_option(
        None,
        "The number of steps between samples, which are texts with filled-in masks in samples.jsonl and TensorBoard.",
        minimum=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "phases", tuple((int(length), int(steps)) for length, steps in self.phases))
        if (self.steps is None) == (not self.phases):
            raise class_error(
                self,
                lambda spell: (
                    f"give either {spell('steps')} or {spell('phases')}. "
                    f"Received: {spell('steps', self.steps)}, {spell('phases', self.phases)}"
                ),
            )
        if self.warmup_steps is not None and self.warmup_steps > self.total_steps:
            raise class_error(
                self,
                lambda spell: (
                    f"{spell('warmup_steps')} must be at most the {self.total_steps} steps. "
                    f"Received: {spell('warmup_steps', self.warmup_steps)}"
                ),
            )
        if self.evaluate_every is not None and self.validation_corpus is None:
            raise class_error(
                self,
                lambda spell: (
                    f"{spell('evaluate_every')} needs {spell('validation_corpus')}. "
                    f"Received: {spell('evaluate_every', self.evaluate_every)} alone"
                ),
            )

    @property
    def total_steps(self) -> int:
        """The total number of steps, over all phases."""
        return self.steps or sum(steps for _, steps in self.phases)

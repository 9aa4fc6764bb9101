"""The options of training: what the functions, the command line and run.json know of them (see kbert.options).

TensorFlow is not imported here: the command line checks all options before it starts.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from kbert import files
from kbert.options import OptionInfo, Options, option, option_error, option_infos, with_documented_fields
from kbert.runtime.prepare import PRECISIONS
from kbert.tasks.metrics.names import LOSS
from kbert.tasks.task_info import TaskInfo

SECTIONS = ("Data", "Model", "Training", "Optimizer", "Devices", "Run", "Monitoring")
"""The headings of the help of the commands that train, in their order."""

OPTIMIZERS = ("adamw", "lamb", "muon", "sgd")
SCHEDULES = ("linear", "polynomial", "cosine", "constant")
STRATEGIES = ("auto", "one", "mirrored", "multi-worker", "tpu")
CLUSTERS = ("tf-config", "slurm", "kubernetes")
JIT = ("auto", "on", "off")
ON_SPIKE = ("stop", "rewind")
INITIALIZATIONS = ("random", "positional")
AUGMENTATIONS = ("masked",)
SEARCHES = ("random", "bayesian", "grid")

_data = functools.partial(option, section="Data")
_model = functools.partial(option, section="Model")
_training = functools.partial(option, section="Training")
_optimizer = functools.partial(option, section="Optimizer")
_devices = functools.partial(option, section="Devices")
_run = functools.partial(option, section="Run")
_monitoring = functools.partial(option, section="Monitoring", remembered=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions(Options):
    """The options that pretraining and fine-tuning share."""

    # === Model ===
    model: str | files.PathLike = _model(
        help="The model to start from: a model folder, hf://owner/name, or a preset with fresh weights.", free=True
    )
    vocab: files.PathLike | None = _model(
        None,
        "The vocabulary of a preset: a vocab.txt, or a folder with all its settings.",
        path="vocabulary",
        remembered=False,
    )
    cased: bool = _model(False, "Keep case and accents, if `vocab` is a vocab.txt; a folder knows.")
    dropout: float | None = _model(
        None, "The dropout rate, everywhere.", minimum=0, below=1, default_help="that of the model"
    )
    initializer_range: float | None = _model(
        None,
        "The standard deviation of fresh weights.",
        details="The usual 0.02 suits a width of 768; narrow models learn sooner from larger weights, such as 0.05 for "
        "a width of 128.",
        above=0,
        default_help="that of the model, 0.02",
    )

    # === Training ===
    batch_size: int = _training(32, "The number of examples in a step, over all devices.", minimum=1)
    accumulation: int = _training(
        1, "The number of micro-batches in a step, one after the other on each device.", minimum=1
    )
    seed: int = _training(
        0,
        "Seeds fresh weights, the order of examples and dropout: the same seed gives the same bytes on a CPU.",
        minimum=0,
    )

    # === Optimizer ===
    optimizer: str = _optimizer("adamw", "The optimizer.", choices=OPTIMIZERS)
    schedule: str = _optimizer("linear", "How the learning rate falls after the warm-up.", choices=SCHEDULES)
    power: float = _optimizer(2.0, "The power of the polynomial schedule.", above=0)
    weight_decay: float = _optimizer(
        0.01, "The weight decay, times the learning rate; biases and LayerNorm have none.", minimum=0
    )
    layer_decay: float = _optimizer(
        1.0, "The learning rate of a block, divided by that of the block above it.", above=0, maximum=1
    )

    # === Devices ===
    precision: str = _devices(
        "float32",
        "The precision of matrix products.",
        details="With float16 the loss is scaled, and a step whose gradients overflow is left out.",
        choices=PRECISIONS,
    )
    remat: bool = _devices(
        False, "Compute blocks again in the backward pass: this takes less memory and more work.", free=True
    )
    strategy: str = _devices(
        "auto",
        "Where training runs: on one device, on all devices of this machine, on several machines, or on a TPU.",
        details="Workers on several machines share all files, and the chief alone writes.",
        choices=STRATEGIES,
        remembered=False,
    )
    cluster: str | None = _devices(
        None,
        "What names the workers of several machines.",
        choices=CLUSTERS,
        default_help="the first whose environment variables are set",
        remembered=False,
    )

    # === Run ===
    output: files.PathLike = _run(
        help="The folder of the run, a model folder in the end.", path="output", remembered=False
    )
    resume: bool = _run(
        False,
        "Continue the run in `output` from its last checkpoint; start it if there is none.",
        remembered=False,
    )
    checkpoint_every: int = _run(500, "The number of steps between checkpoints.", minimum=1, free=True)

    # === Monitoring ===
    log_every: int = _monitoring(
        10, "The number of steps in a row of metrics.jsonl.", minimum=1, remembered=True, free=True
    )
    histograms_every: int | None = _monitoring(
        None, "The number of steps between histograms of the weights in TensorBoard.", minimum=1
    )
    profile: tuple[int, int] | None = _monitoring(
        None,
        "The steps done when a recording for TensorBoard's profile plugin begins and when it ends, such as 20:30.",
        metavar="START:STOP",
        expected="START:STOP with 0 <= START < STOP",
        valid=lambda span: 0 <= span[0] < span[1],
    )
    projector: bool = _monitoring(False, "At the end, write the token embeddings for TensorBoard's projector.")
    show_progress: bool = _monitoring(True, "Show progress on standard error.", command=False)
    callbacks: Sequence[Any] = _monitoring(
        (),
        "Keras callbacks, such as those of MLflow, W&B and TensorBoard.",
        details="`on_train_batch_end` is called for each step, at most a second late; an epoch ends at each "
        "evaluation, or without evaluations at each checkpoint. See kbert.training.loop.callbacks.",
        command=False,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cluster is not None and self.strategy not in ("auto", "multi-worker"):
            raise _error(
                self,
                lambda spell: (
                    f"{spell('cluster')} requires {spell('strategy', 'multi-worker')}. "
                    f"Received: {spell('strategy', self.strategy)}"
                ),
            )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneOptions(TrainingOptions):
    """The options of `kbert.finetune`, but for the columns and the options of the task.

    Example:
        >>> options = kbert.FinetuneOptions(model="tiny", train="train.csv", output="run", epochs=2)
        >>> options.replace(seed=1).seed, options.batch_size
        (1, 32)
        >>> kbert.FinetuneOptions(model="tiny", train="train.csv", output="run", epochs=0)
        Traceback (most recent call last):
            ...
        kbert.options.OptionError: epochs must be above 0. Received: epochs=0
    """

    # === Data ===
    train: Any = _data(
        help="The examples to learn from.",
        details="In Python also a table in memory: a data frame of pandas or polars, or a list of dictionaries.",
        path="file",
        remembered=False,
    )
    validation: Any = _data(
        None,
        "The examples that choose the best weights.",
        path="file",
        remembered=False,
        default_help="a part of `train`; see `validation_split`",
    )
    validation_split: float | None = _data(
        None,
        "Without `validation`: the part of the training rows to hold out, drawn by `seed`.",
        above=0,
        below=1,
    )
    fold: tuple[int, int] | None = _data(
        None,
        "Without `validation`: (number from 0, K) of the part of the training rows to hold out, one of K parts.",
        command=False,
    )
    skip_bad: int = _data(0, "Skip and count up to N bad rows of a file.", minimum=0, metavar="N", free=True)
    limit: int | None = _data(None, "The number of training examples to use, drawn by `seed`.", minimum=1)
    sequence_length: int | None = _data(
        None,
        "The longest input in tokens, special ones included; the task cuts longer texts or reads them in windows.",
        default_help="that of the task, or fewer if the model has fewer positions or says otherwise",
        minimum=5,
    )
    augment: str | None = _data(
        None,
        'With "masked": add copies of the training texts with words that the starting model predicts.',
        choices=AUGMENTATIONS,
    )
    synonyms: files.PathLike | None = _data(
        None,
        "A file with a word and its synonyms on each line: add copies of the training texts with synonyms.",
        path="file",
        remembered=False,
    )
    augment_copies: int = _data(
        1, "The number of copies of each text that `augment` and `synonyms` each add.", minimum=1
    )

    # === Training ===
    epochs: float | None = _training(
        None,
        "The number of passes over the training rows.",
        above=0,
        default_help="3, or more if there are few rows (kbert.training.defaults)",
    )
    frozen_layers: int = _training(
        0, "The number of blocks that keep their weights, and with them the embeddings.", minimum=0
    )
    frozen_encoder: bool = _training(
        False, "The embeddings and all blocks keep their weights; the pooler and the head learn."
    )
    evaluate_every: int | None = _training(
        None, "The number of steps between evaluations.", minimum=1, default_help="an epoch"
    )
    early_stopping: int | None = _training(
        None,
        "Stop after this number of evaluations that were not better.",
        details="If the main metric is equal, the validation loss decides. Evaluations do not count while the metric "
        "is still 0.",
        minimum=1,
    )
    main_metric: str | None = _training(
        None,
        'The metric that decides which weights are best; "loss" is the loss on the validation file.',
        default_help="the first metric of the task that the validation file allows",
    )
    find_learning_rate: bool = _training(
        False,
        "Do not train: try rising learning rates for 100 steps, suggest one, and write lr_finder.json.",
        remembered=False,
    )

    # === Optimizer ===
    learning_rate: float | None = _optimizer(
        None,
        "The learning rate at the end of the warm-up.",
        above=0,
        default_help="chosen by the width of the model, and by whether its weights are pretrained "
        "(kbert.training.defaults)",
    )
    head_learning_rate: float | None = _optimizer(
        None,
        "The learning rate of the pooler and the task's head at the end of the warm-up.",
        above=0,
        default_help="8 times `learning_rate` on pretrained weights, at most 1e-3, and `learning_rate` on fresh ones",
    )
    warmup_proportion: float = _optimizer(
        0.1, "The part of the steps in which the learning rate rises.", minimum=0, maximum=1
    )
    bias_correction: bool = _optimizer(
        True,
        "Correct the optimizer's means for their start at 0.",
        details="The original BERT does not, which makes fine-tuning on few rows unstable (arXiv 2006.05987).",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if [self.validation is None, self.validation_split is None, self.fold is None].count(False) > 1:
            raise _error(
                self, lambda spell: f"give one of {spell('validation')} and {spell('validation_split')}. Received: both"
            )
        if self.find_learning_rate and self.callbacks:
            raise _error(
                self,
                lambda spell: (
                    f"{spell('callbacks')} belong to training; leave them out with "
                    f"{spell('find_learning_rate')}. Received: both"
                ),
            )
        if self.frozen_layers and self.frozen_encoder:
            raise _error(
                self,
                lambda spell: (
                    f"{spell('frozen_encoder')} freezes all layers; leave {spell('frozen_layers')} out. "
                    f"Received: {spell('frozen_layers', self.frozen_layers)}"
                ),
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _SeveralRunsOptions(FinetuneOptions):
    """The options of several runs of `finetune` in one command."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.find_learning_rate:
            raise _error(self, lambda spell: f"several runs are for training; leave {spell('find_learning_rate')} out")


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneSeedsOptions(_SeveralRunsOptions):
    """The options of `kbert.finetune_seeds`: those of `kbert.finetune`, and the number of seeds."""

    seeds: int = _run(
        help="Train this number of models, in `output`/seed-N, and write their mean results.", minimum=2, free=True
    )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossValidateOptions(_SeveralRunsOptions):
    """The options of `kbert.cross_validate`: those of `kbert.finetune`, and the number of folds."""

    folds: int = _run(
        help="Cross-validation over `train` with this number of folds, in `output`/fold-N; without `validation`.",
        minimum=2,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(each is not None for each in (self.validation, self.validation_split, self.fold)):
            raise _error(
                self,
                lambda spell: (
                    f"cross-validation holds out training rows; leave {spell('validation')} and "
                    f"{spell('validation_split')} out"
                ),
            )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneOptions(_SeveralRunsOptions):
    """The options of `kbert.tune`: those of `kbert.finetune`, and of the search."""

    trials: int = _run(help="The number of trials, at most.", details="A grid may have fewer points.", minimum=1,
                       free=True)  # fmt: skip
    search: str = _run(
        "bayesian",
        "How the next values are chosen.",
        details='"bayesian" is a tree-structured Parzen estimator (Optuna\'s TPE) over the trials so far, whose first '
        'trials are random; "grid" has all combinations, where a range of real numbers has ten values.',
        choices=SEARCHES,
    )
    over: Mapping[str, str] | None = _run(
        None,
        "Search over a setting: learning-rate=1e-5:1e-4, batch-size=16,32. May be repeated.",
        details='In Python: values by name, such as {"learning_rate": "1e-5:1e-4", "batch_size": "16,32"}.',
        default_help="learning rates around the model's default, batch sizes, weight decay and warm-up, except those "
        "that are given",
        command=False,
    )


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
    corpus: files.PathLike | Sequence[files.PathLike] = _data(
        help="A folder of `kbert corpus build`, or a folder or glob of other TFRecord files; with `phases` one for "
        "each, in their order.",
        details="Its vocabulary becomes the model's. Files that the original create_pretraining_data.py or the Model "
        "Garden wrote need `vocab`.",
        free=True,
    )
    vocab: files.PathLike | None = _data(
        None,
        "The vocabulary of records without a manifest.json: a vocab.txt, or a folder with all its settings.",
        path="vocabulary",
        remembered=False,
    )
    cased: bool = _data(False, "The text of these records kept case and accents, if `vocab` is a vocab.txt.")
    pack_to: int | None = _data(
        None, "Pack several short examples, which do not see each other, into rows of this number of tokens.", minimum=8
    )
    skip_corrupt: int = _data(0, "The number of damaged records that may be left out.", minimum=0, free=True)
    validation_corpus: files.PathLike | None = _data(
        None,
        "A corpus with the same vocabulary that is measured and never learnt from; its masks are fixed.",
        details="Its loss tells which checkpoint is the best.",
        path="folder",
        free=True,
    )

    # === Model ===
    initialization: str = _model(
        "random",
        "How a preset's weights begin; positional: heads of the first block look at neighbours, and small models learn "
        "sooner.",
        choices=INITIALIZATIONS,
    )

    # === Training ===
    steps: int | None = _training(None, "The number of steps.", minimum=1)
    phases: Sequence[tuple[int, int]] = _training(
        (),
        "Instead of `steps`: the sequence length of a corpus and the number of steps on it, such as 128:9000. All "
        "phases have one schedule.",
        flag="--phase",
        metavar="LENGTH:STEPS",
    )
    evaluate_every: int | None = _training(
        None,
        "The number of steps between evaluations on `validation_corpus`.",
        minimum=1,
        default_help="that of `checkpoint_every`",
    )
    on_spike: str = _training(
        "stop",
        "When the loss jumps or is no number: stop, or rewind to the last checkpoint and leave out the batches since.",
        choices=ON_SPIKE,
    )
    spike_threshold: float | None = _training(
        2.0,
        "A loss jumps if it is this far above the mean of the last 100 steps, and above six standard deviations.",
        details="With None no loss jumps.",
        above=0,
    )

    # === Optimizer ===
    learning_rate: float = _optimizer(1e-4, "The learning rate at the end of the warm-up.", above=0)
    warmup_steps: int | None = _optimizer(
        None,
        "The number of steps in which the learning rate rises.",
        minimum=0,
        default_help="a tenth of the steps, at most 10,000",
    )
    bias_correction: bool | None = _optimizer(
        None,
        "Correct the optimizer's means for their start at 0.",
        default_help="on for LAMB and Muon, and off for AdamW as in the original BERT",
    )

    # === Devices ===
    jit: str = _devices("auto", "Compile the step with XLA; auto: where it pays.", choices=JIT)

    # === Run ===
    keep_checkpoints: int = _run(
        2, "The number of checkpoints to keep, beside that with the lowest loss.", minimum=1, remembered=False
    )

    # === Monitoring ===
    samples_every: int | None = _monitoring(
        None,
        "The number of steps between texts with filled-in masks in samples.jsonl and TensorBoard.",
        minimum=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "phases", tuple((int(length), int(steps)) for length, steps in self.phases))
        if (self.steps is None) == (not self.phases):
            raise _error(
                self,
                lambda spell: (
                    f"give either {spell('steps')} or {spell('phases')}. "
                    f"Received: {spell('steps', self.steps)}, {spell('phases', self.phases)}"
                ),
            )
        if self.warmup_steps is not None and self.warmup_steps > self.total_steps:
            raise _error(
                self,
                lambda spell: (
                    f"{spell('warmup_steps')} must be at most the {self.total_steps} steps. "
                    f"Received: {spell('warmup_steps', self.warmup_steps)}"
                ),
            )
        if self.evaluate_every is not None and self.validation_corpus is None:
            raise _error(
                self,
                lambda spell: (
                    f"{spell('evaluate_every')} needs {spell('validation_corpus')}. "
                    f"Received: {spell('evaluate_every', self.evaluate_every)} alone"
                ),
            )

    @property
    def total_steps(self) -> int:
        """The number of steps of all phases."""
        return self.steps or sum(steps for _, steps in self.phases)


def task_option_infos(info: TaskInfo) -> dict[str, OptionInfo]:
    """The options of `finetune` as those of one task: with its metrics, its files and its sequence length."""
    infos = dict(option_infos(FinetuneOptions))
    changes: Mapping[str, Mapping[str, Any]] = {
        "train": {"help": f"{info.data} to learn from."},
        "validation": {"help": f"{info.data} to choose the best weights with."},
        "sequence_length": {"default_help": f"{info.sequence_length}, or as the model says"},
        "main_metric": {"choices": (*info.metrics, LOSS)},
    }
    return infos | {name: dataclasses.replace(infos[name], **change) for name, change in changes.items()}


def keyword_infos(info: TaskInfo) -> Mapping[str, OptionInfo]:
    """All keywords of `finetune` for a task: its options, the columns of its tables, and the options of the task."""
    columns = {f"{column.role}_column": OptionInfo(f"{column.role}_column", free=True) for column in info.columns}
    own = {
        each.name: OptionInfo(
            each.name, default=each.default, free=each.reading, remembered=not each.file, choices=each.choices
        )
        for each in info.options
    }
    return {**task_option_infos(info), **columns, **own}


def _error(options: Options, write: Any) -> Exception:
    return option_error(write, option_infos(type(options)))

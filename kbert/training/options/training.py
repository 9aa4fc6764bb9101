"""The options of training, from which the functions, the command line and run.json take them (see kbert.options).

This module does not import TensorFlow, so that the command line checks all options before TensorFlow starts.
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
"""The headings in the help of the training commands, in the order in which they are shown."""

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
        help="The model to start from: a model folder, hf://owner/name, or a preset, whose weights are random.",
        free=True,
    )
    vocab: files.PathLike | None = _model(
        None,
        "The vocabulary for a preset: a vocab.txt, or a folder that also holds the settings of the tokenizer.",
        path="vocabulary",
        remembered=False,
    )
    cased: bool = _model(False, "Keep case and accents if `vocab` is a vocab.txt; a folder has its own setting.")
    dropout: float | None = _model(
        None,
        "The dropout rate of hidden states and attention weights.",
        minimum=0,
        below=1,
        default_help="the rate in the configuration of the model",
    )
    initializer_range: float | None = _model(
        None,
        "The standard deviation of randomly initialized weights.",
        details="The usual 0.02 suits a hidden size of 768. Narrower models learn faster with larger weights, such as "
        "0.05 for a hidden size of 128.",
        above=0,
        default_help="the value in the configuration of the model, usually 0.02",
    )

    # === Training ===
    batch_size: int = _training(32, "The number of examples in a training step, over all devices.", minimum=1)
    accumulation: int = _training(
        1,
        "The number of micro-batches that each device computes one after the other in a training step; their gradients "
        "are accumulated.",
        minimum=1,
    )
    seed: int = _training(
        0,
        "Seeds the weight initialization, the order of examples and dropout. On a CPU, the same seed gives the same "
        "bytes.",
        minimum=0,
    )

    # === Optimizer ===
    optimizer: str = _optimizer("adamw", "The optimizer.", choices=OPTIMIZERS)
    schedule: str = _optimizer("linear", "The learning-rate schedule after the warm-up.", choices=SCHEDULES)
    power: float = _optimizer(2.0, "The exponent of the polynomial schedule.", above=0)
    weight_decay: float = _optimizer(
        0.01,
        "The weight decay, which is multiplied by the learning rate. Biases and LayerNorm parameters are not decayed.",
        minimum=0,
    )
    layer_decay: float = _optimizer(
        1.0, "The ratio of a block's learning rate to that of the block above it.", above=0, maximum=1
    )

    # === Devices ===
    precision: str = _devices(
        "float32",
        "The floating-point type in which matrix products are computed.",
        details="With float16 the loss is scaled, and a step whose gradients overflow is skipped.",
        choices=PRECISIONS,
    )
    remat: bool = _devices(
        False, "Recompute each block in the backward pass, which saves memory and takes more time.", free=True
    )
    strategy: str = _devices(
        "auto",
        "Where training runs: on one device, on all devices of this machine, on several machines, or on a TPU.",
        details="Workers on several machines need a shared file system. Only the chief writes to it.",
        choices=STRATEGIES,
        remembered=False,
    )
    cluster: str | None = _devices(
        None,
        "The system that provides the addresses of the workers for training on several machines.",
        choices=CLUSTERS,
        default_help="the first whose environment variables are set",
        remembered=False,
    )

    # === Run ===
    output: files.PathLike = _run(
        help="The folder of the run, which is a model folder when training ends.", path="output", remembered=False
    )
    resume: bool = _run(
        False,
        "Continue the run in `output` from its last checkpoint, or start it if there is no checkpoint.",
        remembered=False,
    )
    checkpoint_every: int = _run(500, "The number of steps between checkpoints.", minimum=1, free=True)

    # === Monitoring ===
    log_every: int = _monitoring(
        10, "The number of steps over which a row of metrics.jsonl averages.", minimum=1, remembered=True, free=True
    )
    histograms_every: int | None = _monitoring(
        None, "The number of steps between histograms of the weights in TensorBoard.", minimum=1
    )
    profile: tuple[int, int] | None = _monitoring(
        None,
        "The steps after which a recording for TensorBoard's profile plugin starts and stops, such as 20:30.",
        metavar="START:STOP",
        expected="START:STOP with 0 <= START < STOP",
        valid=lambda span: 0 <= span[0] < span[1],
    )
    projector: bool = _monitoring(False, "Write the token embeddings for TensorBoard's projector when training ends.")
    show_progress: bool = _monitoring(True, "Show progress on standard error.", command=False)
    callbacks: Sequence[Any] = _monitoring(
        (),
        "Keras callbacks, such as those of MLflow, W&B and TensorBoard.",
        details="`on_train_batch_end` is called for each step, up to a second after the step. An epoch ends at each "
        "evaluation or, in a run without evaluations, at each checkpoint. See kbert.training.loop.callbacks.",
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
    """The options of `kbert.finetune`, except the column names and the options of the task.

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
        help="The training examples.",
        details="In Python this can also be a table in memory: a pandas or polars data frame, or a list of "
        "dictionaries.",
        path="file",
        remembered=False,
    )
    validation: Any = _data(
        None,
        "The validation examples, on which the best weights are chosen.",
        path="file",
        remembered=False,
        default_help="a part of `train`; see `validation_split`",
    )
    validation_split: float | None = _data(
        None,
        "The fraction of the training rows to hold out for validation if there is no `validation`; `seed` determines "
        "which rows.",
        above=0,
        below=1,
    )
    fold: tuple[int, int] | None = _data(
        None,
        "The part of the training rows to hold out for validation if there is no `validation`: (N, K) is part N, "
        "counted from 0, of K parts.",
        command=False,
    )
    skip_bad: int = _data(0, "Skip and count up to N bad rows in each file.", minimum=0, metavar="N", free=True)
    limit: int | None = _data(
        None, "The maximum number of training examples to use; `seed` determines which ones.", minimum=1
    )
    sequence_length: int | None = _data(
        None,
        "The maximum length of an input in tokens, special tokens included. The task cuts longer texts or reads them "
        "in windows.",
        default_help="the model's own limit or that of the task, and at most the number of positions of the model",
        minimum=5,
    )
    augment: str | None = _data(
        None,
        'With "masked", add copies of the training texts in which the starting model predicts some of the words.',
        choices=AUGMENTATIONS,
    )
    synonyms: files.PathLike | None = _data(
        None,
        "A file with a word and its synonyms on each line. Copies of the training texts are added in which synonyms "
        "replace some of the words.",
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
        0, "The number of blocks to freeze, from the first; above 0, the embeddings are frozen as well.", minimum=0
    )
    frozen_encoder: bool = _training(
        False, "Freeze the embeddings and all blocks; only the pooler and the task's head are trained."
    )
    evaluate_every: int | None = _training(
        None, "The number of steps between evaluations.", minimum=1, default_help="the number of steps of an epoch"
    )
    early_stopping: int | None = _training(
        None,
        "Stop after this number of consecutive evaluations without an improvement.",
        details="If the main metric is equal, the validation loss decides. Evaluations do not count while the metric "
        "is still 0.",
        minimum=1,
    )
    main_metric: str | None = _training(
        None,
        'The metric that decides which weights are best; "loss" is the loss on the validation file.',
        default_help="the task's first metric that can be computed from the validation file",
    )
    find_learning_rate: bool = _training(
        False,
        "Instead of training, try rising learning rates for 100 steps, suggest one of them, and write lr_finder.json.",
        remembered=False,
    )

    # === Optimizer ===
    learning_rate: float | None = _optimizer(
        None,
        "The peak learning rate, which is reached at the end of the warm-up.",
        above=0,
        default_help="computed from the hidden size of the model and whether its weights are pretrained "
        "(kbert.training.defaults)",
    )
    head_learning_rate: float | None = _optimizer(
        None,
        "The peak learning rate of the pooler and the task's head.",
        above=0,
        default_help="8 times `learning_rate`, at most 1e-3, for pretrained weights, and `learning_rate` for random "
        "ones",
    )
    warmup_proportion: float = _optimizer(
        0.1, "The fraction of the steps in which the learning rate rises.", minimum=0, maximum=1
    )
    bias_correction: bool = _optimizer(
        True,
        "Correct the optimizer's moving averages for their initial value of 0.",
        details="The original BERT does not correct them, which makes fine-tuning on few rows unstable "
        "(arXiv 2006.05987).",
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
                    f"{spell('callbacks')} are for training; leave them out with "
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
    """The options that commands with several runs of `finetune` share."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.find_learning_rate:
            raise _error(self, lambda spell: f"{spell('find_learning_rate')} is for a single run; leave it out")


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneSeedsOptions(_SeveralRunsOptions):
    """The options of `kbert.finetune_seeds`: those of `kbert.finetune`, and the number of seeds."""

    seeds: int = _run(
        help="The number of models to train, each with a seed of its own in the folder `output`/seed-N. Their mean "
        "results are written as well.",
        minimum=2,
        free=True,
    )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossValidateOptions(_SeveralRunsOptions):
    """The options of `kbert.cross_validate`: those of `kbert.finetune`, and the number of folds."""

    folds: int = _run(
        help="The number of folds of a cross-validation over `train`, each in the folder `output`/fold-N. Leave "
        "`validation` out.",
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
    """The options of `kbert.tune`: those of `kbert.finetune`, and the options of the search."""

    trials: int = _run(help="The maximum number of trials.", details="A grid may have fewer points.", minimum=1,
                       free=True)  # fmt: skip
    search: str = _run(
        "bayesian",
        "The method that chooses the values of the next trial.",
        details='"bayesian" is a tree-structured Parzen estimator (Optuna\'s TPE) that learns from the trials so far; '
        'its first trials are random. "grid" tries all combinations, with ten values for a range of real numbers.',
        choices=SEARCHES,
    )
    over: Mapping[str, str] | None = _run(
        None,
        "An option to search over, with its range or its values: learning-rate=1e-5:1e-4, batch-size=16,32. May be "
        "repeated.",
        details="In Python, the options to search over with their ranges or values, such as "
        '{"learning_rate": "1e-5:1e-4", "batch_size": "16,32"}.',
        default_help="learning rates around the model's default, batch sizes, weight decays and warm-up proportions, "
        "except the options that are given",
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
        help="A corpus folder that `kbert corpus build` wrote, or a folder or glob pattern of other TFRecord files. "
        "With `phases`, give one corpus for each phase, in the same order.",
        details="The model gets the vocabulary of the corpus. Files that the original create_pretraining_data.py or "
        "the Model Garden wrote need `vocab`.",
        free=True,
    )
    vocab: files.PathLike | None = _data(
        None,
        "The vocabulary of a corpus without a manifest.json: a vocab.txt, or a folder that also holds the settings of "
        "the tokenizer.",
        path="vocabulary",
        remembered=False,
    )
    cased: bool = _data(
        False, "The corpus without a manifest.json keeps case and accents; only for a `vocab` that is a vocab.txt."
    )
    pack_to: int | None = _data(
        None,
        "Pack several short examples into each row of this number of tokens; they do not attend to each other.",
        minimum=8,
    )
    skip_corrupt: int = _data(0, "The maximum number of damaged records to skip.", minimum=0, free=True)
    validation_corpus: files.PathLike | None = _data(
        None,
        "A corpus with the same vocabulary for validation; it is never trained on, and its masks are fixed.",
        details="The validation loss decides which checkpoint is the best.",
        path="folder",
        free=True,
    )

    # === Model ===
    initialization: str = _model(
        "random",
        'The initial weights of a preset. With "positional", heads of the first block attend to neighbouring tokens, '
        "and small models learn faster.",
        choices=INITIALIZATIONS,
    )

    # === Training ===
    steps: int | None = _training(None, "The number of training steps.", minimum=1)
    phases: Sequence[tuple[int, int]] = _training(
        (),
        "A phase of training, instead of `steps`: the sequence length of a corpus and the number of steps on it, such "
        "as 128:9000. One learning-rate schedule covers all phases.",
        flag="--phase",
        metavar="LENGTH:STEPS",
    )
    evaluate_every: int | None = _training(
        None,
        "The number of steps between evaluations on `validation_corpus`.",
        minimum=1,
        default_help="the value of `checkpoint_every`",
    )
    on_spike: str = _training(
        "stop",
        "What to do when the loss jumps or is not finite: stop, or rewind to the last checkpoint and skip the batches "
        "since then.",
        choices=ON_SPIKE,
    )
    spike_threshold: float | None = _training(
        2.0,
        "The distance above the mean loss of the last 100 steps from which a loss counts as a jump. A jump is also "
        "more than six standard deviations above that mean.",
        details="With None, no finite loss counts as a jump.",
        above=0,
    )

    # === Optimizer ===
    learning_rate: float = _optimizer(
        1e-4, "The peak learning rate, which is reached at the end of the warm-up.", above=0
    )
    warmup_steps: int | None = _optimizer(
        None,
        "The number of steps in which the learning rate rises.",
        minimum=0,
        default_help="a tenth of the steps, at most 10,000",
    )
    bias_correction: bool | None = _optimizer(
        None,
        "Correct the optimizer's moving averages for their initial value of 0.",
        default_help="on for LAMB and Muon, and off for AdamW as in the original BERT",
    )

    # === Devices ===
    jit: str = _devices(
        "auto", 'Whether to compile the training step with XLA; "auto" compiles it on a GPU only.', choices=JIT
    )

    # === Run ===
    keep_checkpoints: int = _run(
        2,
        "The number of latest checkpoints to keep. The checkpoint with the lowest loss is kept as well.",
        minimum=1,
        remembered=False,
    )

    # === Monitoring ===
    samples_every: int | None = _monitoring(
        None,
        "The number of steps between samples, which are texts with filled-in masks in samples.jsonl and TensorBoard.",
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
        """The total number of steps, over all phases."""
        return self.steps or sum(steps for _, steps in self.phases)


def task_option_infos(info: TaskInfo) -> dict[str, OptionInfo]:
    """Returns the options of `finetune` with the file formats, the metrics and the sequence length of one task."""
    infos = dict(option_infos(FinetuneOptions))
    changes: Mapping[str, Mapping[str, Any]] = {
        "train": {"help": f"{info.data} to learn from."},
        "validation": {"help": f"{info.data} to choose the best weights with."},
        "sequence_length": {"default_help": f"{info.sequence_length}, or the model's own limit"},
        "main_metric": {"choices": (*info.metrics, LOSS)},
    }
    return infos | {name: dataclasses.replace(infos[name], **change) for name, change in changes.items()}


def keyword_infos(info: TaskInfo) -> Mapping[str, OptionInfo]:
    """Returns all keywords of `finetune` for a task: the options, the column names and the task's own options."""
    columns = {f"{column.role}_column": OptionInfo(f"{column.role}_column", free=True) for column in info.columns}
    own = {name: dataclasses.replace(each, free=each.reading) for name, each in info.option_infos.items()}
    return {**task_option_infos(info), **columns, **own}


def _error(options: Options, write: Any) -> Exception:
    return option_error(write, option_infos(type(options)))

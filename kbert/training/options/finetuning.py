"""The options of fine-tuning."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kbert import files
from kbert.options import OptionInfo, option_infos, with_documented_fields
from kbert.tasks.metrics.names import LOSS
from kbert.tasks.task_info import TaskInfo
from kbert.text.settings import MEDIAPIPE
from kbert.training.options.abstaining import AbstentionOptions
from kbert.training.options.privacy import PrivacyOptions
from kbert.training.options.sections import (
    class_error,
    data_option,
    model_option,
    optimizer_option,
    training_option,
)
from kbert.training.options.training import TrainingOptions

AUGMENTATIONS = ("masked",)
TOKENIZERS = (MEDIAPIPE,)
QUANTIZE_AWARE = ("int8", "int4")


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneOptions(AbstentionOptions, PrivacyOptions, TrainingOptions):
    """The options of `kbert.finetune`, except the column names and the options of the task.

    Example:
        >>> options = kbert.FinetuneOptions(model="tiny", train="train.csv", output="run", epochs=2)
        >>> options.replace(seed=1).seed, options.batch_size
        (1, 32)
        >>> kbert.FinetuneOptions(model="tiny", train="train.csv", output="run", epochs=0)
        Traceback (most recent call last):
            ...
        kbert.options.errors.OptionError: epochs must be above 0. Received: epochs=0
    """

    # === Model ===
    tokenizer: str | None = model_option(
        None,
        "Tokenize text as MediaPipe does on phones, so that the model learns from the tokens that it will get there.",
        details="MediaPipe lower-cases only A to Z and keeps accents, so words such as Café become [UNK] in "
        "most vocabularies. The run stores this, and all commands tokenize text in this way for its model.",
        choices=TOKENIZERS,
        default_help="the tokenizer of the model, or that of `vocab`",
    )

    # === Data ===
    train: Any = data_option(
        help="The training examples.",
        details="In Python this can also be a table in memory: a pandas or polars data frame, or a list of "
        "dictionaries.",
        path="file",
        remembered=False,
    )
    validation: Any = data_option(
        None,
        "The validation examples, on which the best weights are chosen.",
        path="file",
        remembered=False,
        default_help="a part of `train`; see `validation_split`",
    )
    validation_split: float | None = data_option(
        None,
        "The fraction of the training rows to hold out for validation if there is no `validation`; `seed` determines "
        "which rows.",
        above=0,
        below=1,
    )
    fold: tuple[int, int] | None = data_option(
        None,
        "The part of the training rows to hold out for validation if there is no `validation`: (N, K) is part N, "
        "counted from 0, of K parts.",
        command=False,
    )
    skip_bad: int = data_option(0, "Skip and count up to N bad rows in each file.", minimum=0, metavar="N", free=True)
    limit: int | None = data_option(
        None, "The maximum number of training examples to use; `seed` determines which ones.", minimum=1
    )
    sequence_length: int | None = data_option(
        None,
        "The maximum length of an input in tokens, special tokens included. The task cuts longer texts or reads them "
        "in windows.",
        default_help="384 for question-answering, 512 for summarization, and 128 for other tasks; a task that cuts "
        "texts takes up to 256, so that at most 5 % of the training texts are cut; at most the model's own limit",
        minimum=5,
    )
    augment: str | None = data_option(
        None,
        'With "masked", add copies of the training texts in which the starting model predicts some of the words.',
        choices=AUGMENTATIONS,
    )
    synonyms: files.PathLike | None = data_option(
        None,
        "A file with a word and its synonyms on each line. Copies of the training texts are added in which synonyms "
        "replace some of the words.",
        path="file",
        remembered=False,
    )
    augment_copies: int = data_option(
        1, "The number of copies of each text that `augment` and `synonyms` each add.", minimum=1
    )

    # === Training ===
    epochs: float | None = training_option(
        None,
        "The number of passes over the training rows.",
        above=0,
        default_help="3; with few rows more, so that there are 500 steps and 20 steps for each class, but at most 20",
    )
    frozen_layers: int = training_option(
        0, "The number of blocks to freeze, from the first; above 0, the embeddings are frozen as well.", minimum=0
    )
    frozen_encoder: bool = training_option(
        False, "Freeze the embeddings and all blocks; only the pooler and the task's head are trained."
    )
    evaluate_every: int | None = training_option(
        None, "The number of steps between evaluations.", minimum=1, default_help="the number of steps of an epoch"
    )
    early_stopping: int | None = training_option(
        None,
        "Stop after this number of consecutive evaluations without an improvement.",
        details="If the main metric is equal, the validation loss decides. Evaluations do not count while the metric "
        "is still 0.",
        minimum=1,
    )
    quantize_aware: str | None = training_option(
        None,
        "Train with weights that are rounded as the LiteRT export with this dtype stores them, so that the export "
        "loses less.",
        details="The run holds the rounded weights in float32. Activations are not rounded. int4 needs a hidden size "
        "that is a multiple of 32.",
        choices=QUANTIZE_AWARE,
    )
    main_metric: str | None = training_option(
        None,
        'The metric that decides which weights are best; "loss" is the loss on the validation data.',
        default_help="the task's first metric that can be computed from the validation file",
    )
    calibrate: bool = training_option(
        False,
        "Divide the logits by the temperature that calibrates the probabilities best on the validation examples.",
        details="For classification, multilabel classification and multiple choice. Answers do not change.",
        free=True,
    )
    find_learning_rate: bool = training_option(
        False,
        "Instead of training, try rising learning rates for 100 steps, suggest one of them, and write lr_finder.json.",
        remembered=False,
    )

    # === Optimizer ===
    learning_rate: float | None = optimizer_option(
        None,
        "The peak learning rate, which is reached at the end of the warm-up.",
        above=0,
        default_help="chosen by the width and the number of blocks of the model, and by whether its weights are "
        "pretrained: 3e-5 for a pretrained BERT-base; the run prints it",
    )
    head_learning_rate: float | None = optimizer_option(
        None,
        "The peak learning rate of the pooler and the task's head.",
        above=0,
        default_help="8 times `learning_rate`, at most 1e-3, for pretrained weights, and `learning_rate` for random "
        "ones",
    )
    warmup_proportion: float = optimizer_option(
        0.1, "The fraction of the steps in which the learning rate rises.", minimum=0, maximum=1
    )
    bias_correction: bool = optimizer_option(
        True,
        "Correct the optimizer's moving averages for their initial value of 0.",
        details="The original BERT does not correct them, which makes fine-tuning on few rows unstable "
        "(arXiv 2006.05987).",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if [self.validation is None, self.validation_split is None, self.fold is None].count(False) > 1:
            raise class_error(
                self, lambda spell: f"give one of {spell('validation')} and {spell('validation_split')}. Received: both"
            )
        if self.find_learning_rate and self.callbacks:
            raise class_error(
                self,
                lambda spell: (
                    f"{spell('callbacks')} are for training; leave them out with "
                    f"{spell('find_learning_rate')}. Received: both"
                ),
            )
        if self.frozen_layers and self.frozen_encoder:
            raise class_error(
                self,
                lambda spell: (
                    f"{spell('frozen_encoder')} freezes all layers; leave {spell('frozen_layers')} out. "
                    f"Received: {spell('frozen_layers', self.frozen_layers)}"
                ),
            )
        if self.adapter is not None and (self.frozen_layers or self.frozen_encoder):
            name = "frozen_encoder" if self.frozen_encoder else "frozen_layers"
            raise class_error(
                self,
                lambda spell: f"{spell('adapter')} freezes the base model; leave {spell(name)} out. Received: both",
            )
        if self.adapter is not None and self.quantize_aware is not None:
            raise class_error(
                self,
                lambda spell: (
                    f"{spell('quantize_aware')} trains all weights; leave {spell('adapter')} out. Received: both"
                ),
            )


def task_option_infos(info: TaskInfo) -> dict[str, OptionInfo]:
    """Returns the options of `finetune` with the file formats, the metrics and the sequence length of one task.

    Commands do not have those that the task does not support.
    """
    infos = dict(option_infos(FinetuneOptions))
    changes: Mapping[str, Mapping[str, Any]] = {
        "train": {"help": f"{info.data} to learn from."},
        "validation": {"help": f"{info.data} to choose the best weights with."},
        "sequence_length": {"default_help": _default_sequence_length(info)},
        "main_metric": {"choices": (*info.metrics, LOSS)},
    }
    infos |= {name: dataclasses.replace(infos[name], **change) for name, change in changes.items()}
    return infos | {name: dataclasses.replace(infos[name], command=False) for name in info.unsupported}


def _default_sequence_length(info: TaskInfo) -> str:
    """Returns the words for the default sequence length of a task (see `kbert.training.data.sequence_length`)."""
    longer = "a task that cuts texts takes up to 256, so that at most 5 % of the training texts are cut; "
    return f"{info.sequence_length}; {longer if info.sequence_length < 256 else ''}at most the model's own limit"


def keyword_infos(info: TaskInfo) -> Mapping[str, OptionInfo]:
    """Returns all keywords of `finetune` for a task: the options, the column names and the task's own options."""
    columns = {f"{column.role}_column": OptionInfo(f"{column.role}_column", free=True) for column in info.columns}
    own = {name: dataclasses.replace(each, free=each.reading) for name, each in info.option_infos.items()}
    return {**task_option_infos(info), **columns, **own}

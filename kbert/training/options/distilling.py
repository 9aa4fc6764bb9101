"""The options of distillation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kbert import files
from kbert.options import with_documented_fields
from kbert.training.options.finetuning import FinetuneOptions
from kbert.training.options.sections import class_error, data_option, model_option, privacy_option, training_option


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherOptions(FinetuneOptions):
    """The options of runs with a teacher: those of fine-tuning, and the weights of the losses."""

    # A student trains all of its weights, with the tokenizer of its teacher, so the commands do not have these.
    adapter: str | None = training_option(None, "Not for students.", command=False)
    tokenizer: str | None = model_option(None, "Not for students.", command=False)
    private: float | None = privacy_option(None, "Not for students.", command=False)
    delta: float | None = privacy_option(None, "Not for students.", command=False)
    clip: float | None = privacy_option(None, "Not for students.", command=False)
    draw_size: int | None = privacy_option(None, "Not for students.", command=False)

    unlabelled: Sequence[files.PathLike] = data_option(
        (),
        "A file of texts without labels, with the columns and the format of `train`; can be repeated. The outputs of "
        "the teacher are their only targets.",
        remembered=False,
        metavar="FILE",
    )
    teacher_outputs: files.PathLike | None = data_option(
        None,
        "The folder for the outputs of the teacher, which other runs with the same teacher and the same texts can use "
        "again.",
        default_help="a folder in `output`, which is removed when training ends",
        path="output-folder",
        remembered=False,
    )
    temperature: float = training_option(
        2.0, "The divisor of the logits of teacher and student before they are compared.", above=0
    )
    logit_weight: float = training_option(
        1.0, "The weight of the loss that compares the outputs of student and teacher.", minimum=0
    )
    relation_weight: float = training_option(
        1.0,
        "The weight of the loss that compares the relations of queries, of keys and of values between tokens "
        "(MiniLMv2, arXiv 2012.15828).",
        minimum=0,
    )
    label_weight: float = training_option(0.3, "The weight of the loss of the labels in the training file.", minimum=0)
    relation_heads: int | None = training_option(
        None,
        "The number of parts into which queries, keys and values are split to compare their relations; it must divide "
        "the hidden sizes of both models.",
        default_help="the largest such number that is at most the number of attention heads of the teacher",
        minimum=1,
    )
    teacher_layer: int | None = training_option(
        None,
        "The block of the teacher whose relations are learnt by the last block of the student, counted from 1.",
        default_help="the last block",
        minimum=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("adapter", "tokenizer"):
            value = getattr(self, name)
            if value is not None:
                raise class_error(
                    self,
                    lambda spell, name=name, value=value: (
                        f"a student trains all of its weights, with the tokenizer of its teacher; leave {spell(name)} "
                        f"out. Received: {spell(name, value)}"
                    ),
                )
        if self.private is not None:
            raise class_error(
                self,
                lambda spell: (
                    f"{spell('private')} is not for students: a student learns from a teacher that has seen the rows "
                    f"without noise. Received: {spell('private', self.private)}"
                ),
            )
        if not (self.logit_weight or self.relation_weight or self.label_weight):
            raise class_error(
                self,
                lambda spell: (
                    f"expected a loss to minimize: one of {spell('logit_weight')}, {spell('relation_weight')} and "
                    f"{spell('label_weight')} above 0. Received: all are 0"
                ),
            )
        if self.unlabelled and not (self.logit_weight or self.relation_weight):
            raise class_error(
                self,
                lambda spell: (
                    f"{spell('unlabelled')} needs {spell('logit_weight')} or {spell('relation_weight')} above 0. "
                    "Received: both are 0"
                ),
            )


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class DistillOptions(TeacherOptions):
    """The options of `kbert.distill`: those of `kbert.finetune` and of the teacher.

    Example:
        >>> options = kbert.DistillOptions(model="tiny", train="train.csv", output="run", temperature=4)
        >>> options.temperature, options.label_weight
        (4, 0.3)
    """

    model: str | files.PathLike = model_option(
        help="The student: a preset, whose weights are random, or a model folder or hf://owner/name with the "
        "vocabulary of the teacher.",
        free=True,
    )
    teacher_table: bool = model_option(
        True,
        "Initialize the token table of a preset with the principal components of the token table of the teacher.",
        off_flag="--random-table",
    )

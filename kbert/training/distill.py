"""Distillation: a small model, the student, learns from the outputs of a fine-tuned one, its teacher."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kbert import files
from kbert.config import PRESETS, BertConfig, preset_config
from kbert.errors import BundleError
from kbert.model_folder.file_names import CONFIG_FILE
from kbert.model_folder.hub import resolve
from kbert.model_folder.parts import TOKEN_TABLE
from kbert.model_folder.sentence_files import transformer_path
from kbert.model_folder.tokenizer import load_model_tokenizer, tokenizer_from
from kbert.options import OptionInfo, option_error, option_infos, refuse_unknown, with_options
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import TrainingRows
from kbert.tasks.readers.remembered import Reading
from kbert.tasks.task_info import column_keywords
from kbert.text.graph.encoder import GraphEncoder
from kbert.training.distillation.examples import read_student_examples
from kbert.training.distillation.objective import DistillationObjective
from kbert.training.distillation.relations import RelationModel
from kbert.training.distillation.teacher import Teacher
from kbert.training.distillation.teacher_outputs import TeacherOutputs
from kbert.training.distillation.token_table import narrower_table
from kbert.training.distillation.unlabelled import read_texts, rows_without_targets, with_unlabelled
from kbert.training.finetuning.model import FinetunedModel, build_model
from kbert.training.finetuning.plan import FinetuningPlan, plan_finetuning
from kbert.training.finetuning.training import train_and_finish
from kbert.training.options import DistillOptions, TeacherOptions, keyword_infos
from kbert.training.run import Run

_OUTPUTS_FOLDER = "teacher_outputs"
"""The default folder for the outputs of the teacher, in the folder of the run."""


@with_options(DistillOptions)
def distill(teacher: files.PathLike, *, options: DistillOptions, **reading: Any) -> dict[str, Any]:
    """Trains a student with the outputs of a fine-tuned model, and keeps the weights that are best on validation data.

    Three losses are added. The first compares the outputs of both models, the second the relations between tokens in
    their last blocks, which works with any widths, and the third is that of the labels. The outputs of the teacher are
    computed once for all training rows, and stored on disk. The student is a model folder like any fine-tuned model.

    Args:
        teacher: The folder of a fine-tuned model, or hf://owner/name.
        options: All options in one object. Keywords that are given as well replace its values.
        reading: The column names of tables, such as `text_column`, and the options that describe files. The defaults
            are those with which the training file of the teacher was read.

    Returns:
        The metrics of the best weights on the validation file, as `kbert.finetune` returns them.

    Raises:
        UsageError: An option is invalid, the student has another vocabulary than the teacher, or `output` already
            holds a different run.
        DataError: A file is invalid, or has a label that the teacher does not know; with the file and the line.
        KbertError: A model is invalid, or training fails.

    Example:
        >>> metrics = kbert.distill(
        ...     "RUN", model="tiny", train="train.csv", validation="dev.csv", output="student",
        ...     epochs=1, show_progress=False,
        ... )
        >>> 0 <= metrics["accuracy"] <= 1
        True
    """
    return distill_from(Teacher.load(teacher), options, reading, command="distill", teacher_table=options.teacher_table)


def distill_from(
    teacher: Teacher,
    options: TeacherOptions,
    reading: Mapping[str, Any],
    *,
    command: str,
    teacher_table: bool = False,
) -> dict[str, Any]:
    """Trains a student; see `distill`.

    Args:
        teacher: The teacher.
        options: The options of the run.
        reading: The columns and the options that describe the files, as given.
        command: The command, for the record of the run.
        teacher_table: Whether the token table of a new student is made from that of the teacher.
    """
    info = teacher.task.info()
    refuse_unknown(f"the task {info.name}", reading, list(keyword_infos(info)))
    _check_unlabelled(options, teacher)
    options = _completed(options, teacher)
    relation_heads = _check_student(options, teacher)
    examples, chosen, task_options = read_student_examples(teacher, options, reading)
    texts = read_texts(teacher.task, chosen, options.unlabelled) if options.unlabelled else {}
    infos = {**keyword_infos(info), **option_infos(type(options)), "teacher": OptionInfo("teacher", free=True)}
    run = Run(command, options, infos)

    def more_rows(task: TrainableTask[Any], rows: TrainingRows, encode: GraphEncoder) -> TrainingRows:
        return with_unlabelled(rows, rows_without_targets(task, texts, encode)) if texts else rows

    plan = plan_finetuning(run, options, info, examples, more_rows=more_rows)
    layer = teacher.layer_index(options.teacher_layer)
    outputs = _outputs_folder(options, teacher, plan, layer)
    if not options.find_learning_rate:
        plan.check_validation()
        given = options.remembered() | column_keywords(examples.columns) | task_options.remembered()
        record = plan.record(run.command, given | {"teacher": str(teacher.path)})
        contents = {**record.contents, "teacher": teacher.digest(), "unlabelled": _digest(texts)}
        run.claim(dataclasses.replace(record, contents=contents))
    plan = _with_outputs(run, teacher, plan, outputs, layer, relations=bool(options.relation_weight))
    finetuned = build_model(run, plan)
    if teacher_table and plan.start.bundle is None:
        _assign_teacher_table(finetuned, teacher)
    trained = None
    if options.relation_weight:
        trained = RelationModel(finetuned.model, plan.start.config.num_hidden_layers - 1)
    objective = DistillationObjective(
        task=plan.task,
        temperature=options.temperature,
        logit_weight=options.logit_weight,
        relation_weight=options.relation_weight,
        label_weight=options.label_weight,
        relation_heads=relation_heads,
        some_unlabelled=bool(texts),
    )
    remembered = Reading.remembered(info, examples.columns, task_options)
    metrics = train_and_finish(run, plan, finetuned, remembered, trained=trained, objective=objective)
    if options.teacher_outputs is None:
        outputs.remove()
    return metrics


def _completed(options: TeacherOptions, teacher: Teacher) -> TeacherOptions:
    """Returns the options with the vocabulary and the sequence length of the teacher, if others are not given.

    Raises:
        UsageError: The run is for several machines.
    """
    if options.strategy in ("multi-worker", "tpu") or options.cluster is not None:
        raise option_error(
            lambda spell: (
                "expected a run on one machine, whose disk holds the outputs of the teacher. Received: "
                f"{spell('strategy', options.strategy)}; give {spell('strategy', 'one')} or mirrored"
            )
        )
    changes: dict[str, Any] = {}
    if str(options.model) in PRESETS and options.vocab is None:
        changes["vocab"] = resolve(teacher.path)
    if options.sequence_length is None:
        changes["sequence_length"] = min(teacher.sequence_length, _student_config(options).max_position_embeddings)
    return options.replace(**changes)


def _check_unlabelled(options: TeacherOptions, teacher: Teacher) -> None:
    """Checks that a student can learn from the texts without labels, if there are any.

    Raises:
        OptionError: It cannot.
    """
    reason = teacher.task.not_unlabelled
    if options.unlabelled and reason:
        raise option_error(
            lambda spell: (
                f"{spell('unlabelled')} is not for {teacher.task.name}, since {reason}; leave it out. "
                f"Received: {spell('unlabelled', options.unlabelled)}"
            ),
            option_infos(type(options)),
        )


def _student_config(options: TeacherOptions) -> BertConfig:
    if str(options.model) in PRESETS:
        return preset_config(str(options.model))
    folder = Path(resolve(options.model))
    folder = folder / transformer_path(folder)
    values = files.read_json(folder / CONFIG_FILE, BundleError)
    return BertConfig.from_dict(values)


def _check_student(options: TeacherOptions, teacher: Teacher) -> int:
    """Checks that the student fits the teacher before any file is read, and returns the number of relation heads.

    Raises:
        UsageError: The student has another vocabulary, or the relations cannot be compared.
    """
    is_preset = str(options.model) in PRESETS
    vocab = options.vocab if is_preset and options.vocab is not None else options.model
    path = resolve(vocab)
    tokenizer = load_model_tokenizer(path) if path.is_dir() else tokenizer_from(path, cased=options.cased)
    teacher.check_vocabulary(tokenizer, vocab)
    teacher.layer_index(options.teacher_layer)
    return teacher.relation_heads(_student_config(options).hidden_size, options.relation_heads)


def _outputs_folder(options: TeacherOptions, teacher: Teacher, plan: FinetuningPlan, layer: int) -> TeacherOutputs:
    """Returns the outputs of the teacher for the rows of the plan, which are not computed yet."""
    folder = options.teacher_outputs or Path(options.output) / _OUTPUTS_FOLDER
    what = f"{teacher.digest()} {plan.sequence_length} {layer if options.relation_weight else None}"
    outputs = TeacherOutputs(Path(folder), what, plan.rows)
    outputs.check_folder()
    return outputs


def _with_outputs(
    run: Run, teacher: Teacher, plan: FinetuningPlan, outputs: TeacherOutputs, layer: int, *, relations: bool
) -> FinetuningPlan:
    """Returns the plan with the outputs of the teacher as further targets; they are computed if they are missing."""
    kinds = teacher.task.soft_outputs
    if not outputs.is_complete:
        run.tell(f"computing the outputs of {teacher.path} for {len(plan.rows):,} rows")
        model = teacher.build()
        pad_id = plan.start.tokenizer.vocabulary.pad_id
        outputs.compute(
            RelationModel(model, layer) if relations else model,
            kinds,
            sequence_length=plan.sequence_length,
            pad_id=pad_id,
            relations=relations,
        )
    targets = {**plan.rows.targets, **outputs.targets(kinds, relations=relations)}
    return dataclasses.replace(plan, rows=dataclasses.replace(plan.rows, targets=targets))


def _assign_teacher_table(student: FinetunedModel, teacher: Teacher) -> None:
    """Gives a student the token table of its teacher, reduced to the width of the student."""
    config = student.model.encoder.config
    table = np.asarray(teacher.bundle.tensors[TOKEN_TABLE])[: config.vocab_size]
    narrower = narrower_table(table, config.hidden_size, config.initializer_range)
    student.model.encoder.embeddings.token_table.assign(narrower)


def _digest(texts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()

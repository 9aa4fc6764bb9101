"""Fine-tuning, which is the same for every task: it reads a model and a user's files, and writes a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbert.errors import UsageError
from kbert.options import check_value, refuse_unknown, with_options
from kbert.tasks.catalogue import task_info
from kbert.tasks.readers.remembered import Reading
from kbert.tasks.task_info import TaskInfo, column_keywords
from kbert.training.data.task_examples import read_task_examples
from kbert.training.finetuning.model import build_model
from kbert.training.finetuning.plan import plan_finetuning
from kbert.training.finetuning.training import train_and_finish
from kbert.training.options import FinetuneOptions, keyword_infos
from kbert.training.private.plan import check_class_weights
from kbert.training.run import Run


@with_options(FinetuneOptions)
def finetune(task: str, *, options: FinetuneOptions, **task_options: Any) -> dict[str, Any]:
    """Fine-tunes a model for a task, and keeps the weights that are best on the validation file.

    Args:
        task: The name of a task, such as "classification".
        options: All options in one object. Keywords that are given as well replace its values.
        task_options: The column names of tables, such as `text_column`, and the task's own options
            (kbert.tasks.catalogue). In a file without a header, a column is a number, counted from 1.

    Returns:
        The metrics of the best weights on the validation file. Workers other than the chief return an empty
        dictionary. With `find_learning_rate`, the fields of kbert.training.learning_rate_finder.LearningRateCurve.

    Raises:
        UsageError: An option is invalid, or `output` already holds a different run.
        DataError: A file is invalid; the message names the file and the line.
        KbertError: The model is invalid, or training fails.

    Example:
        >>> metrics = kbert.finetune(
        ...     "classification", model="pretrained", train="train.csv", validation="dev.csv", output="run",
        ...     epochs=1, show_progress=False,
        ... )
        >>> sorted(metrics)[:2]
        ['accuracy', 'calibration_error']
    """
    info = _trainable_task(task, task_options)
    infos = keyword_infos(info)
    check_value(infos["main_metric"], options.main_metric)
    columns, own = info.split(task_options)
    if options.private is not None:
        check_class_weights(own)
    examples = read_task_examples(task, options, columns=columns, task_options=own)
    run = Run(f"finetune {task}", options, infos)  # workers must join before TensorFlow tokenizes texts
    plan = plan_finetuning(run, options, info, examples)
    measures = run.is_chief and not options.find_learning_rate
    if measures:
        plan.check_validation()
        run.claim(plan.record(run.command, options.remembered() | column_keywords(columns) | own.remembered()))
    finetuned = build_model(run, plan)
    reading = Reading.remembered(info, examples.columns, own)
    return train_and_finish(run, plan, finetuned, reading)


def _trainable_task(task: str, task_options: Mapping[str, Any]) -> TaskInfo:
    """Returns the description of the task.

    Raises:
        UsageError: The task is not trainable, or has no option with one of the names.
    """
    info = task_info(task)
    if not info.trainable:
        raise UsageError(f"the task {task} is not fine-tuned; pretraining trains it (kbert pretrain)")
    refuse_unknown(f"the task {task}", task_options, list(keyword_infos(info)))
    return info

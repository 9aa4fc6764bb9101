"""The examples that a student is trained with, which are read as those of its teacher were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from kbert.prediction.input_files import InputFiles
from kbert.tasks.options import TaskOptions
from kbert.tasks.readers.remembered import Reading
from kbert.tasks.task_info import column_keywords
from kbert.training.data.task_examples import TaskExamples, read_task_examples
from kbert.training.distillation.teacher import Teacher
from kbert.training.options import TeacherOptions


class StudentExamples(NamedTuple):
    """The examples of a student, and how they were read.

    Args:
        examples: The training and validation examples.
        reading: The columns and options of the files.
        task_options: The options of the task.
    """

    examples: TaskExamples
    reading: Reading
    task_options: TaskOptions


def read_student_examples(teacher: Teacher, options: TeacherOptions, given: Mapping[str, Any]) -> StudentExamples:
    """Reads the files that the options name, with the columns and the format of the teacher's training file.

    Args:
        teacher: The teacher.
        options: The options of the run.
        given: The columns and the options of the format that the user gave, which override those of the teacher.

    Raises:
        UsageError: A column or an option is unknown.
        DataError: A file is invalid, or has a label that the teacher does not know.
    """
    info = teacher.task.info()
    reading = InputFiles(teacher.task, teacher.reading).reading(given)
    columns, task_options = info.split({**column_keywords(reading.columns), **reading.options})
    examples = read_task_examples(info.name, options, columns=columns, task_options=task_options, task=teacher.task)
    return StudentExamples(examples, reading, task_options)

"""The teacher of a student: a fine-tuned model, its task, and the checks that a student fits it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from kbert import files
from kbert.errors import BundleError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors
from kbert.options import invalid, option_infos
from kbert.tasks.calibrated_task import CalibratedTask
from kbert.tasks.factories import task_from_bundle
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.readers.remembered import Reading
from kbert.text.tokenizer import Tokenizer
from kbert.training.options import TeacherOptions
from kbert.training.starting_point import StartingPoint


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A fine-tuned model that a student learns from.

    Args:
        path: The model as the user gave it.
        bundle: The content of its folder.
        task: Its task.
        reading: How its training file was read.
    """

    path: files.PathLike
    bundle: Bundle
    task: TrainableTask[Any]
    reading: Reading

    @classmethod
    def load(cls, path: files.PathLike) -> Teacher:
        """Loads a teacher.

        Args:
            path: A model folder with a task that can be fine-tuned, or hf://owner/name.

        Raises:
            UsageError: The model has no task that can be fine-tuned.
            KbertError: The folder is invalid.
        """
        bundle = Bundle.load(resolve(path))
        task = task_from_bundle(bundle, path)
        if not isinstance(task, TrainableTask):
            raise UsageError(
                f"expected a teacher that is fine-tuned for a task. Received: {path}, which predicts masked words; "
                "fine-tune it with `kbert finetune`"
            )
        if not task.soft_outputs:
            raise UsageError(
                f"expected a teacher whose outputs a student can learn. Received: {path}, a model for {task.name}; "
                "fine-tune a smaller model on the answers that `kbert predict` writes with it"
            )
        try:
            reading = Reading.from_settings(bundle.settings.get("reading", {}), task.info())
        except (TypeError, UsageError) as problem:
            raise BundleError(f"{path}: the key reading of kbert.json is invalid ({problem!s:.200})") from None
        # The student's own probabilities are neither calibrated nor does it abstain, whatever its teacher does.
        return cls(path, bundle, task.as_trained() if isinstance(task, CalibratedTask) else task, reading)

    @property
    def sequence_length(self) -> int:
        """The maximum number of tokens of an input."""
        length = self.bundle.settings.get("sequence_length", self.bundle.longest_input)
        return min(length, self.bundle.config.max_position_embeddings)

    def digest(self) -> str:
        """Returns a digest of the weights, which does not depend on the folder."""
        return StartingPoint(self.path, self.bundle.config, self.bundle.tokenizer, self.bundle).digest()

    def build(self) -> Any:
        """Builds the Keras model of the teacher, with its weights."""
        model = self.task.build(BertEncoder(self.bundle.config, pooled=self.task.pooled, skip_padding=True))
        assign_tensors(self.task.bindings(model), self.bundle.tensors)
        return model

    def check_vocabulary(self, tokenizer: Tokenizer, model: object) -> None:
        """Checks that a student has the vocabulary of the teacher, so that both read the same tokens.

        Args:
            tokenizer: The tokenizer of the student.
            model: The student as the user gave it, for the message.

        Raises:
            UsageError: The vocabulary or the settings of the tokenizer differ.
        """
        ours = self.bundle.tokenizer
        if tokenizer.vocabulary.tokens != ours.vocabulary.tokens:
            what = f"{len(tokenizer.vocabulary):,} entries of {model}, {len(ours.vocabulary):,} of {self.path}"
            if len(tokenizer.vocabulary) == len(ours.vocabulary):
                what = f"other entries in {model}"
        elif differences := tokenizer.settings.differences(ours.settings):
            what = f"other settings of the tokenizer in {model} ({', '.join(differences)})"
        else:
            return
        raise UsageError(
            f"expected a student with the vocabulary of the teacher. Received: {what}; choose a preset such as "
            "--model tiny, which takes the vocabulary of the teacher"
        )

    def relation_heads(self, student_width: int, wanted: int | None) -> int:
        """Returns the number of parts into which queries, keys and values are split.

        Args:
            student_width: The hidden size of the student.
            wanted: The number that the user gave, or None.

        Raises:
            OptionError: The number does not divide the hidden sizes of both models.
        """
        config = self.bundle.config
        common = math.gcd(config.hidden_size, student_width)
        if wanted is None:
            return max(part for part in range(1, config.num_attention_heads + 1) if common % part == 0)
        if common % wanted:
            sizes = f"{config.hidden_size} and {student_width}"
            raise _invalid("relation_heads", f"must divide the hidden sizes of teacher and student, {sizes}", wanted)
        return wanted

    def layer_index(self, layer: int | None) -> int:
        """Returns the index of the block whose relations are learnt.

        Args:
            layer: The number of the block, counted from 1; None for the last.

        Raises:
            OptionError: The teacher has fewer blocks.
        """
        count = self.bundle.config.num_hidden_layers
        if layer is not None and layer > count:
            raise _invalid("teacher_layer", f"must be from 1 to {count}, the blocks of {self.path}", layer)
        return (count if layer is None else layer) - 1


def _invalid(name: str, problem: str, value: int) -> UsageError:
    return invalid(option_infos(TeacherOptions)[name], problem, value)

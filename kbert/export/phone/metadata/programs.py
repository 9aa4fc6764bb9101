"""The programs on phones that open an exported model as it is, and what keeps others from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """The properties of an exported model that decide which programs open it.

    Args:
        task: The name of the task, such as "classification".
        paired: Whether an input is a pair of texts.
        signatures: The number of signatures.
        sequence_length: The number of tokens of an input; the first, if there are several signatures.
        takes_tokens: Whether the inputs are `input_word_ids`, `input_mask` and `input_type_ids`.
        output_types: The dtype of each output, such as "float32".
        no_answers: Whether the model can decide that a context has no answer.
    """

    task: str
    paired: bool = False
    signatures: int = 1
    sequence_length: int
    takes_tokens: bool = True
    output_types: Sequence[str] = ("float32",)
    no_answers: bool = False


@dataclasses.dataclass(frozen=True)
class PhoneProgram:
    """A program that opens models with metadata.

    Args:
        name: The name of its class, and of what it is part of.
        tasks: The names of the tasks whose models it opens.
        output_types: The dtypes that outputs may have.
        sequence_length: The only sequence length that it supports; None if it supports any.
        texts: The number of texts that it reads at once.
    """

    name: str
    tasks: tuple[str, ...]
    output_types: tuple[str, ...]
    sequence_length: int | None = None
    texts: int = 1

    def obstacle(self, model: ExportedModel) -> str | None:
        """Returns why the program does not open a model of one of its tasks, as a clause; None if it does."""
        if not model.takes_tokens:
            return "it takes code points; export with --input tokens"
        if model.paired and self.texts == 1:
            return "it takes pairs of texts, and the program gives it single texts"
        if model.signatures != 1:
            return f"it has {model.signatures} signatures; export with one --sequence-length"
        if self.sequence_length not in (None, model.sequence_length):
            return (
                f"it takes {model.sequence_length} tokens, and the program gives it {self.sequence_length}; "
                f"export with --sequence-length {self.sequence_length}"
            )
        others = sorted(set(model.output_types) - set(self.output_types))
        if others:
            return f"its outputs are {', '.join(others)}, and the program reads {' or '.join(self.output_types)}"
        return None


PROGRAMS = (
    PhoneProgram("MediaPipe's TextClassifier", ("classification", "multilabel"), ("float32", "uint8")),
    PhoneProgram("MediaPipe's TextEmbedder", ("embedding",), ("float32", "uint8")),
    PhoneProgram("the Task Library's BertNLClassifier", ("classification", "multilabel"), ("float32", "uint8")),
    PhoneProgram(
        "the Task Library's BertQuestionAnswerer", ("question-answering",), ("float32",), sequence_length=384, texts=2
    ),
)
"""MediaPipe Tasks, and the older TensorFlow Lite Task Library, which still is the only one that answers questions."""


@dataclasses.dataclass(frozen=True)
class Opening:
    """Whether a program opens a model.

    Args:
        program: The name of the program.
        obstacle: Why it does not, as a clause about the model; None if it does.
        limit: What the program does not do with the model that it opens, as a clause; None if it does everything.
    """

    program: str
    obstacle: str | None
    limit: str | None = None

    def __str__(self) -> str:
        if self.obstacle is None:
            limit = f", but {self.limit}" if self.limit else ""
            return f"{self.program} opens the model as it is{limit}"
        return f"{self.program} does not open the model: {self.obstacle}"


def openings(model: ExportedModel) -> list[Opening]:
    """Returns, for each program for the task of a model, whether it opens the model with metadata.

    The list is empty if no program is for the task.

    Example:
        >>> [str(each) for each in openings(ExportedModel(task="embedding", sequence_length=128))]
        ["MediaPipe's TextEmbedder opens the model as it is"]
    """
    limit = "it always gives an answer, and the model can decide that there is none" if model.no_answers else None
    return [Opening(each.name, each.obstacle(model), limit) for each in PROGRAMS if model.task in each.tasks]


def opens_as_is(model: ExportedModel) -> bool:
    """Returns whether at least one program opens a model with metadata."""
    return any(each.obstacle is None for each in openings(model))


def describe_openings(model: ExportedModel) -> list[str]:
    """Returns lines for people: one for each program for the task of a model, or one that says that there is none."""
    found = [str(each) for each in openings(model)]
    return found or [f"neither MediaPipe nor the Task Library has a program for the task {model.task}"]

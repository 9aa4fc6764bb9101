"""The metadata of a loaded model, and the properties of its export that decide which programs open it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kbert.export.phone.metadata.phone_metadata import PhoneMetadata
from kbert.export.phone.metadata.programs import ExportedModel
from kbert.model_folder.card import CardFields
from kbert.prediction.predictor import Predictor
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.protocol.answering import AnsweringTask
from kbert.tasks.question_answering import QuestionAnsweringTask


def metadata_of(
    model: Predictor, *, name: str, card: CardFields | None = None, temperature: float = 1.0
) -> PhoneMetadata:
    """Returns the metadata of a model.

    Args:
        model: The model.
        name: The name of the model.
        card: The author and the license, from `read_card`.
        temperature: The number by which logits are to be divided to calibrate the probabilities.

    Raises:
        UsageError: A label cannot be written into a file of labels, or the temperature cannot be written.
    """
    task = model.task
    card = card or CardFields()
    return PhoneMetadata(
        name=name,
        vocabulary=model.tokenizer.vocabulary,
        description=_description(task),
        labels=tuple(task.labels) if isinstance(task, ClassificationTask | MultilabelTask) else None,
        exclusive=isinstance(task, ClassificationTask),
        temperature=temperature,
        author=card.author,
        license=card.license,
    )


def exported_model(
    model: Predictor,
    *,
    signatures: int = 1,
    sequence_length: int,
    takes_tokens: bool = True,
    output_types: Sequence[str] = ("float32",),
) -> ExportedModel:
    """Returns the properties of an export that decide which programs open it; see `ExportedModel`."""
    return ExportedModel(
        task=model.task.name,
        paired=len(model.task.text_inputs) > 1,
        signatures=signatures,
        sequence_length=sequence_length,
        takes_tokens=takes_tokens,
        output_types=tuple(output_types),
        no_answers=isinstance(model.task, QuestionAnsweringTask) and model.task.impossible,
    )


def _description(task: AnsweringTask[Any]) -> str:
    if isinstance(task, EmbeddingTask) and task.prompt:
        # The programs on phones know no prompts, so the app must add it.
        return f'{task.description}; put "{task.prompt}" before each text'
    return task.description

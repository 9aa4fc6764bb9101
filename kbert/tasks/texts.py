"""What the tasks on a text, or a pair of texts, have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.tasks.bad_rows import BadRows
from kbert.tasks.rows import Ragged, encode_texts
from kbert.tasks.tables import read_table
from kbert.tasks.task import Task, TextInput
from kbert.text.graph_encoder import GraphEncoder


@dataclasses.dataclass(frozen=True)
class Example:
    """One text or pair of a user's file.

    Args:
        text: The text.
        pair: The second text of a pair.
        target: What is to be predicted, as the file has it; None where it is unknown.
        line: The 1-based line it came from; 0 for none.
    """

    text: str
    pair: str | None = None
    target: str | None = None
    line: int = 0


class TextTask(Task[Example]):
    """A task on a text, or on a pair of texts.

    Args:
        paired: Whether an example is a pair of texts.
    """

    target_column: ClassVar[str] = "label"
    """The column of targets."""

    def __init__(self, paired: bool = False) -> None:
        self.paired = paired

    @classmethod
    def read(
        cls,
        path: PathLike,
        columns: Mapping[str, str] | None = None,
        *,
        options: Mapping[str, Any] | None = None,
        targets: bool = True,
        bad: BadRows | None = None,
    ) -> list[Example]:
        """Reads a table with the columns "text", and where wanted "pair" and the target's."""
        chosen = cls.info().choose_columns(columns or {}, targets=targets)
        bad = bad or BadRows()
        examples = []
        for row in read_table(path, chosen, bad=bad):
            target = row.values.get(cls.target_column)
            if target == "":
                bad.skip(DataError(f"expected a {cls.target_column}. Received an empty one", path, row.line))
                continue
            examples.append(Example(row.values["text"], row.values.get("pair"), target, row.line))
        if not examples:
            raise DataError("expected rows of text. There are none", path)
        return examples

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """`text`, and of a pair `text_pair`."""
        text = TextInput("text", "text")
        return (text, TextInput("text_pair", "pair")) if self.paired else (text,)

    def inputs(self, examples: Sequence[Example]) -> dict[str, list[Any]]:
        """The texts.

        Raises:
            UsageError: They are pairs and the task is not, or the other way round.
        """
        if any((example.pair is not None) != self.paired for example in examples):
            raise UsageError(
                "this model answers for pairs of texts; name the column of the second ones: pair"
                if self.paired
                else "this model answers for single texts. Received pairs"
            )
        texts = {"text": [example.text for example in examples]}
        return texts | ({"text_pair": [example.pair or "" for example in examples]} if self.paired else {})

    def tokens(self, examples: Sequence[Example], encode: GraphEncoder) -> tuple[Ragged, Ragged]:
        """Ids and type ids of examples, for training."""
        return encode_texts(encode, *self.inputs(examples).values())

    @property
    def description(self) -> str:
        """What it does, for a model card."""
        return f"{self.name} of {'pairs of texts' if self.paired else 'texts'}"

    @property
    def sample_arguments(self) -> str:
        """The arguments of a `kbert predict` for a model card."""
        return "'A first text' --pair 'and its second'" if self.paired else "'A text of your own'"

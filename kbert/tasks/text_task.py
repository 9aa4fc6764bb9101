"""What the tasks on a text, or a pair of texts, have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.sources.bad_rows import BadRows
from kbert.tasks.answering import AnsweringTask, TextInput
from kbert.tasks.readers.tables import read_table
from kbert.tasks.trainable import TrainableTask
from kbert.tasks.training_rows import Ragged, encode_texts
from kbert.text.graph.encoder import GraphEncoder


@dataclasses.dataclass(frozen=True)
class Example:
    """One text or pair of a user's file.

    Args:
        text: The text.
        pair: The second text of a pair.
        target: What is to be predicted, as the task reads it: a label, labels, a number; None where it is unknown.
        line: The 1-based line it came from; 0 for none.
    """

    text: str
    pair: str | None = None
    target: Any = None
    line: int = 0


def same_text(text: str) -> str:
    """Equal for texts that differ in white space and capitals alone."""
    return " ".join(text.split()).casefold()


def _check_not_empty(text: str, pair: str | None) -> None:
    if not text.strip():
        raise ValueError("expected a text. Received an empty one")
    if pair is not None and not pair.strip():
        raise ValueError("expected a second text. Received an empty one")


class TextTask(AnsweringTask[Example]):
    """A task on a text, or on a pair of texts.

    Args:
        paired: Whether an example is a pair of texts.
    """

    examples_noun: ClassVar[str] = "rows of text"
    target_column: ClassVar[str] = "label"
    """The column of targets."""
    target_lists: ClassVar[bool] = False
    """Whether a target may be a list; see `read_table`."""

    def __init__(self, paired: bool = False) -> None:
        self.paired = paired

    @classmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: Any, *, targets: bool, bad: BadRows
    ) -> Iterator[Example]:
        """The rows of a table with the columns "text", and where wanted "pair" and the target's.

        Texts may be empty where they are only answered for.
        """
        columns = cls.table_columns(columns, options)
        lists = [cls.target_column] if cls.target_lists else []
        spellings: dict[str, str] = {}
        for row in read_table(path, columns, form=options.table_format, lists=lists, bad=bad):
            text, pair, target = row.values["text"], row.values.get("pair"), row.values.get(cls.target_column)
            try:
                if targets:
                    target = cls.read_target(target, options)
                    _check_not_empty(text, pair)
            except ValueError as problem:
                bad.skip(DataError(str(problem), path, row.line))
                continue
            if isinstance(target, str):
                spelling = row.values[cls.target_column].strip()
                if spellings.setdefault(target, spelling) != spelling:
                    bad.repaired("labels are other spellings of the number of an earlier label (0.0 is 0)", row.line)
            yield Example(text, pair, target, row.line)

    @classmethod
    def table_columns(cls, columns: Mapping[str, str], options: Any) -> Mapping[str, str]:
        """The columns to read, out of those of the catalogue."""
        return columns

    @classmethod
    def read_target(cls, value: Any, options: Any) -> Any:
        """The target that a cell says; ValueError tells why it is none."""
        value = value.strip()  # a space before or after a name makes no other class
        if not value:
            raise ValueError(f"expected a {cls.target_column}. Received an empty one")
        return value

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """`text`, and of a pair `text_pair`."""
        text = TextInput("text", "text")
        return (text, TextInput("text_pair", "pair")) if self.paired else (text,)

    def texts_of(self, examples: Sequence[Example]) -> dict[str, list[Any]]:
        """The texts.

        Raises:
            UsageError: They are pairs and the task is not, or the other way round.
        """
        if any((example.pair is not None) != self.paired for example in examples):
            raise UsageError(
                "this model answers for pairs of texts; name the column of the second ones: pair"
                if self.paired
                else "this model answers for single texts; leave the second texts out, or load it with paired=True if "
                "it is a classifier of pairs from another library. Received: pairs of texts"
            )
        texts = {"text": [example.text for example in examples]}
        return texts | ({"text_pair": [example.pair or "" for example in examples]} if self.paired else {})

    @property
    def description(self) -> str:
        """What it does, for a model card."""
        return f"{self.name} of {'pairs of texts' if self.paired else 'texts'}"

    @property
    def sample_arguments(self) -> str:
        """The arguments of a `kbert predict` for a model card."""
        return "'A first text' --pair 'and its second'" if self.paired else "'A text of your own'"


class TrainableTextTask(TextTask, TrainableTask[Example]):
    """A task on a text, or on a pair of texts, that is fine-tuned."""

    def group(self, example: Example) -> tuple[str, str]:
        """Its text and pair, however they are spaced and capitalized: what is equal is learnt, or measured."""
        return same_text(example.text), same_text(example.pair or "")

    def tokens(self, examples: Sequence[Example], encode: GraphEncoder) -> tuple[Ragged, Ragged]:
        """Ids and type ids of examples, for training."""
        return encode_texts(encode, *self.texts_of(examples).values())

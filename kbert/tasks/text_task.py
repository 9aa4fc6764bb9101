"""Base classes of tasks on a text or on a pair of texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.sources.bad_rows import BadRows
from kbert.tasks.protocol.answering import AnsweringTask, TextInput
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import Ragged, encode_texts
from kbert.tasks.readers.tables import read_table
from kbert.text.graph.encoder import GraphEncoder


@dataclasses.dataclass(frozen=True)
class Example:
    """A text or a pair of texts, with its target.

    Args:
        text: The text.
        pair: The second text of a pair; None for a single text.
        target: The target, as the task reads it: a label, several labels or a number; None if it is unknown.
        line: The 1-based line of the file; 0 for none.
    """

    text: str
    pair: str | None = None
    target: Any = None
    line: int = 0


def same_text(text: str) -> str:
    """Returns a normal form that is equal for texts that differ only in white space and capitals."""
    return " ".join(text.split()).casefold()


def _only_item(items: Sequence[str], role: str) -> str:
    """Returns the item of a list of one; raises ValueError for other lists."""
    if len(items) != 1:
        raise ValueError(f"expected one {role}. Received {len(items)}: {', '.join(items):.60}")
    return items[0]


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
    """The role of the column of targets."""
    target_lists: ClassVar[bool] = False
    """Whether a target may be a list of texts, as with `lists` in `read_table`."""

    def __init__(self, paired: bool = False) -> None:
        self.paired = paired

    @classmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: Any, *, targets: bool, bad: BadRows
    ) -> Iterator[Example]:
        """Yields the rows of a table with the column "text", and if given the columns "pair" and of the target.

        Without targets, texts may be empty.
        """
        columns = cls.table_columns(columns, options)
        # Some programs write a list even where there is a single label; a joined list cannot be told from a text.
        lists = [cls.target_column] if cls.target_lists else []
        single = [] if cls.target_lists else [cls.target_column]
        spellings: dict[str, str] = {}
        form, flags = options.table_format, cls.column_flags(options)
        rows = read_table(
            path, columns, form=form, lists=lists, list_values=single, accepted=targets, bad=bad, flags=flags
        )
        for row in rows:
            text, pair, target = row.values["text"], row.values.get("pair"), row.values.get(cls.target_column)
            try:
                if targets and isinstance(target, list) and not cls.target_lists:
                    target = _only_item(target, cls.target_column)
                if targets:
                    spelling = target.strip() if isinstance(target, str) else ""
                    target = cls.read_target(target, options)
                    _check_not_empty(text, pair)
            except ValueError as problem:
                bad.skip(DataError(str(problem), path, row.line))
                continue
            if isinstance(target, str) and spellings.setdefault(target, spelling) != spelling:
                bad.repaired("labels are other spellings of an earlier label (0.0 is 0, true is True)", row.line)
            yield Example(text, pair, target, row.line)

    @classmethod
    def table_columns(cls, columns: Mapping[str, str], options: Any) -> Mapping[str, str]:
        """Returns the columns to read, given the chosen columns by role. Options may add or replace columns."""
        return columns

    @classmethod
    def column_flags(cls, options: Any) -> Mapping[str, str]:
        """Returns the options, for messages, that name columns which `table_columns` added or replaced, by role."""
        return {}

    @classmethod
    def read_target(cls, value: Any, options: Any) -> Any:
        """Returns the target in a cell, or raises ValueError with the reason."""
        value = value.strip()  # white space around a name does not make another class
        if not value:
            raise ValueError(f"expected a {cls.target_column}. Received an empty one")
        return value

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The input `text`, and for pairs also `text_pair`."""
        text = TextInput("text", "text")
        return (text, TextInput("text_pair", "pair")) if self.paired else (text,)

    def texts_of(self, examples: Sequence[Example]) -> dict[str, list[Any]]:
        """Returns the texts, and for pairs the second texts.

        Raises:
            UsageError: The examples are pairs but the task is for single texts, or the other way round.
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
        """What the model does, for a model card."""
        return f"{self.name} of {'pairs of texts' if self.paired else 'texts'}"

    @property
    def sample_arguments(self) -> str:
        """Arguments of `kbert predict`, as an example in a model card."""
        return "'A first text' --pair 'and its second'" if self.paired else "'A text of your own'"


class TrainableTextTask(TextTask, TrainableTask[Example]):
    """A task on a text, or on a pair of texts, that is fine-tuned."""

    def group(self, example: Example) -> tuple[str, str]:
        """Returns the text and the pair, so that equal texts are not split between training and validation.

        White space and capitals do not matter.
        """
        return same_text(example.text), same_text(example.pair or "")

    def tokens(self, examples: Sequence[Example], encode: GraphEncoder) -> tuple[Ragged, Ragged]:
        """Returns the token ids and token type ids of examples, for training."""
        return encode_texts(encode, *self.texts_of(examples).values())

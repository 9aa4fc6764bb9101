"""What prediction and export ask of a task: texts in, answers out."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import tensorflow as tf

from kbert import features
from kbert.errors import DataError
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import Slots
from kbert.tasks.catalogue import task_info
from kbert.tasks.readers.bad_rows import BadRows
from kbert.tasks.saved_settings import Kind, read_settings
from kbert.tasks.task_info import TaskInfo
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer

Tensors = Mapping[str, tf.Tensor]
ExampleT = TypeVar("ExampleT")
TaskT = TypeVar("TaskT", bound="AnsweringTask[Any]")  # typing.Self needs Python 3.11


@dataclasses.dataclass(frozen=True)
class TextInput:
    """A text that a model is asked with.

    Args:
        name: Of the tensor of strings in the serving signature, [B].
        column: Of the column that holds it; also its name in predictions.
        is_list: Whether an example has several of them, such as choices: [B, C], unused places "".
    """

    name: str
    column: str
    is_list: bool = False


class AnsweringTask(abc.ABC, Generic[ExampleT]):
    """A task whose models answer for texts.

    A task object knows its labels and settings, but no weights: those are in the Keras model that `build` makes.
    Examples are dataclasses of the task's own, with the 1-based `line` of their file (0 for none).

    The way of the data: `inputs` of examples (or texts of the caller's own) → `prompted` → `encode` → the model →
    `answers`, all of it but `inputs` in the exported graph; then `answer` and `text_line` for people.
    """

    name: ClassVar[str]
    """As in kbert.tasks.catalogue."""
    architecture: str
    """Transformers' class for the same model."""
    pooled: ClassVar[bool] = True
    """Whether the encoder has the pooler."""
    windowed: ClassVar[bool] = False
    """Whether `encode` may give many rows a text, so that the graph runs them in parts."""
    examples_noun: ClassVar[str]
    """What a file holds, for messages."""
    saved_fields: ClassVar[Mapping[str, Kind]] = {}
    """What a bundle remembers of it: arguments and attributes of the same names, and what they may be."""
    optional_fields: ClassVar[Collection[str]] = ()
    """Those of `saved` that the bundles of an older kbert do not have."""
    model_features: tuple[features.Feature, ...] = features.ENCODER_FEATURES
    """What the model takes of what `encode` gives; also the inputs of the token signature and of LiteRT."""

    # === Reading ===

    @classmethod
    def info(cls) -> TaskInfo:
        """Its entry in the catalogue."""
        return task_info(cls.name)

    @classmethod
    def read_examples(
        cls,
        path: PathLike,
        columns: Mapping[str, str] | None = None,
        *,
        options: Mapping[str, Any] | None = None,
        targets: bool = True,
        bad: BadRows | None = None,
    ) -> list[ExampleT]:
        """Reads examples.

        Args:
            path: A file.
            columns: The column of each role; the catalogue's for those that are not named.
            options: The task's options, of which some may say how to read.
            targets: Whether targets are wanted; without, the file need not have them.
            bad: Takes the rows that cannot be read.

        Raises:
            DataError: The file holds something else than expected; with file and line.
        """
        bad = bad or BadRows()
        chosen = cls.info().choose_columns(columns or {}, targets=targets)
        examples = list(cls.parse_file(path, chosen, options or {}, targets=targets, bad=bad))
        if not examples:
            raise no_examples(cls.examples_noun, bad, path)
        return examples

    @classmethod
    @abc.abstractmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: Mapping[str, Any], *, targets: bool, bad: BadRows
    ) -> Iterable[ExampleT]:
        """The examples of a file, for `read`; of `options` only those are there that are named."""

    @classmethod
    def has_own_format(cls, path: PathLike) -> bool:
        """Whether a file, by its ending, is of a format of the task's own: neither a table nor a text a line."""
        return False

    @abc.abstractmethod
    def texts_of(self, examples: Sequence[ExampleT]) -> dict[str, list[Any]]:
        """What to ask for examples: a list of texts (lists of texts, for `several`) for each of `text_inputs`.

        Mostly with a row an example. A task whose metrics need other questions asks those: `evaluate` gets the
        answers in the same order.
        """

    @classmethod
    def from_settings(cls: type[TaskT], settings: Mapping[str, Any]) -> TaskT:
        """Makes it anew from what `settings` gave.

        Raises:
            KeyError: A setting is not there.
            TypeError: A setting is of another type.
            ValueError: A setting cannot have that value; also UsageError.
        """
        return cls(**read_settings(settings, cls.saved_fields, cls.optional_fields))

    def settings(self) -> dict[str, Any]:
        """What a bundle remembers of it; JSON. "name" is the task's."""
        return {"name": self.name, **{name: getattr(self, name) for name in self.saved_fields}}

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> AnsweringTask[ExampleT] | None:
        """The task of a model of another library; None where config.json says that it is for another."""
        return None

    # === Texts to features ===

    def adapt_tokenizer(self, tokenizer: Tokenizer) -> Tokenizer:
        """The tokenizer for its texts, out of the model's."""
        return tokenizer

    @property
    @abc.abstractmethod
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The texts that it is asked with, in order."""

    def add_prompts(self, inputs: Tensors) -> Tensors:
        """The texts of a request in the form that `encode` takes; runs in the graph."""
        return inputs

    def encode(self, encode: GraphEncoder, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Strings to features, in the graph.

        Long texts may give several rows (windows). Tensors that the model does not take are for `answers`.

        Args:
            encode: The tokenizer in the graph, with the sequence length.
            inputs: Strings by the names of `text_inputs`.
        """
        return encode(*(inputs[text.name] for text in self.text_inputs))

    # === Model ===

    @abc.abstractmethod
    def build(self, encoder: BertEncoder) -> Any:
        """A Keras model from features to raw outputs, a dict of tensors."""

    @abc.abstractmethod
    def slots(self, model: Any) -> Slots:
        """The variables of that model under Transformers' names."""

    # === Answers ===

    @abc.abstractmethod
    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Raw outputs to what a server answers, in the graph.

        Each tensor has a row for each row of the inputs. What differs in number is padded to the most of the batch,
        with 0 or "", and its count is a tensor of its own.

        Args:
            outputs: Of the model.
            encoded: All that `encode` gave.
        """

    @abc.abstractmethod
    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """What can be said of token ids alone: the outputs of the token signature and of LiteRT, float32."""

    @abc.abstractmethod
    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """One row of `answers`, as NumPy, to what a person reads; JSON."""

    @abc.abstractmethod
    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """A prediction (texts and `answer`) on a line for a terminal."""

    # === Words for people ===

    @property
    def description(self) -> str:
        """What it does, for a model card."""
        return f"{self.name}: {self.info().help}"

    @property
    def sample_arguments(self) -> str:
        """The arguments of a `kbert predict` for a model card."""
        first, *others = self.text_inputs
        return " ".join([f"'A {first.column} of your own'", *(f"--pair 'and its {text.column}'" for text in others)])


def no_examples(rows: str, bad: BadRows, path: PathLike) -> DataError:
    """The error about a file without any example that can be used."""
    why = f": {bad.summary}" if bad.count else ""
    return DataError(f"expected {rows}. There are none{why}", path)

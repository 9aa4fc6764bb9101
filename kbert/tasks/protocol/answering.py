"""The protocol of tasks for prediction and export: texts in, answers out."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import tensorflow as tf

from kbert import features
from kbert.errors import DataError
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.kinds import kind_of_class
from kbert.models.tensor_names import TensorBindings
from kbert.options import option_error
from kbert.sources.bad_rows import BadRows
from kbert.tasks.catalogue import task_info
from kbert.tasks.options import TaskOptions
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, read_settings
from kbert.tasks.protocol.training_rows import as_spans, as_strings
from kbert.tasks.readers.columns import find_columns
from kbert.tasks.readers.tables import named_columns
from kbert.tasks.task_info import TaskInfo
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.text.truncation import Truncation

ExampleT = TypeVar("ExampleT")
TaskT = TypeVar("TaskT", bound="AnsweringTask[Any]")  # typing.Self needs Python 3.11


@dataclasses.dataclass(frozen=True)
class TextInput:
    """A text, or a span of a text, that a model takes as input.

    Args:
        name: The name of the tensor in the serving signature: of texts, string [B]; of spans, int32 [B, 2].
        column: The column that holds the text; also its name in predictions.
        is_list: Whether an example has a list of such texts, for instance choices. The tensor is [B, C] then, with ""
            in unused places; for spans it is [B, C, 2], with 0 in unused places.
        is_span: Whether the input is a span of the first text instead of a text: the offset of its first character, and
            the offset after its last character.
    """

    name: str
    column: str
    is_list: bool = False
    is_span: bool = False

    @property
    def spec(self) -> tf.TensorSpec:
        """The dtype and the shape of the tensor."""
        shape = [None] * (1 + self.is_list) + [2] * self.is_span
        return tf.TensorSpec(shape, tf.int32 if self.is_span else tf.string, name=self.name)

    def tensor(self, values: Sequence[Any]) -> tf.Tensor:
        """Returns the values of some rows as a tensor."""
        return as_spans(values, are_lists=self.is_list) if self.is_span else as_strings(values)


class AnsweringTask(abc.ABC, Generic[ExampleT]):
    """A task whose models answer for texts.

    A task object knows its labels and settings, but no weights: those are in the Keras model that `build` makes.
    Examples are dataclasses of the task's own, with the 1-based `line` of their file (0 for none).

    The data go through these methods: `texts_of` examples (or the caller's own texts) → `add_prompts` → `encode` → the
    model → `served_answers`. All but the first are in the exported graph. `readable_answer` and `text_line` then make
    the answers readable for people.
    """

    name: ClassVar[str]
    """The name of the task in the catalogue."""
    architecture: str
    """The class of Hugging Face Transformers for the same model."""
    pooled: ClassVar[bool] = True
    """Whether the encoder needs its pooler."""
    pooled_only: ClassVar[bool] = False
    """Whether the model reads nothing but the pooled output of the encoder, which then computes less."""
    windowed: ClassVar[bool] = False
    """Whether `encode` may return many rows for one text. The graph then runs them in parts, to bound memory."""
    one_pass: ClassVar[bool] = True
    """Whether the encoder runs once for a text, so that LiteRT can run it instead of TensorFlow."""
    pair_truncation: ClassVar[Truncation] = "longest_first"
    """The text of a pair that loses tokens if the pair must fit in one row, as in models for phones."""
    not_for_phones: ClassVar[str] = ""
    """Why models of the task cannot be exported for phones; "" if they can."""
    examples_noun: ClassVar[str]
    """The examples of a file in words, for messages, such as "rows of text"."""
    saved_fields: ClassVar[Mapping[str, Kind]] = {}
    """The settings in kbert.json: the names and types of constructor arguments, which are also attributes."""
    optional_fields: ClassVar[Collection[str]] = ()
    """The settings in `saved_fields` that may be missing, since earlier versions of kbert did not write them."""
    model_features: tuple[features.Feature, ...] = features.ENCODER_FEATURES
    """The inputs of the model, all of which `encode` returns. The token signature and LiteRT have the same inputs."""

    # === Reading ===

    @classmethod
    def info(cls) -> TaskInfo:
        """Returns the entry of the task in the catalogue."""
        return task_info(cls.name)

    @classmethod
    def read_examples(
        cls,
        path: PathLike,
        columns: Mapping[str, str] | None = None,
        *,
        options: Mapping[str, Any] | TaskOptions | None = None,
        targets: bool = True,
        bad: BadRows | None = None,
    ) -> list[ExampleT]:
        """Reads the examples of a file.

        Args:
            path: The file, or a table in memory.
            columns: The column of each role, such as "text". The catalogue has the defaults.
            options: The options of the task by name, or an object of its options class. Some describe the file.
            targets: Whether the targets are read. If not, the file needs no targets.
            bad: Counts the rows that are skipped. The default allows none.

        Raises:
            DataError: A row is invalid, or the file has no examples; with file and line.
        """
        return list(cls.iterate_examples(path, columns, options=options, targets=targets, bad=bad))

    @classmethod
    def iterate_examples(
        cls,
        path: PathLike,
        columns: Mapping[str, str] | None = None,
        *,
        options: Mapping[str, Any] | TaskOptions | None = None,
        targets: bool = True,
        bad: BadRows | None = None,
    ) -> Iterator[ExampleT]:
        """Yields the examples of a file while it is read; see `read_examples`."""
        bad = bad or BadRows()
        chosen = cls.info().choose_options(options)
        found = find_columns(cls.info(), path, columns or {}, chosen, targets=targets, tell=True)
        found = named_columns(path, found, chosen.table_format)
        example = None
        for example in cls.parse_file(path, found, chosen, targets=targets, bad=bad):
            yield example
        bad.tell_repairs(path)
        if example is None:
            raise no_examples(cls.examples_noun, bad, path)

    @classmethod
    @abc.abstractmethod
    def parse_file(
        cls, path: PathLike, columns: Mapping[str, str], options: Any, *, targets: bool, bad: BadRows
    ) -> Iterable[ExampleT]:
        """Yields the examples of a file for `read_examples`.

        `options` is an object of the task's options class, which `info()` names.
        """

    @classmethod
    def has_own_format(cls, path: PathLike) -> bool:
        """Returns whether the suffix of a file is that of a format which only this task reads."""
        return False

    @abc.abstractmethod
    def texts_of(self, examples: Sequence[ExampleT]) -> dict[str, list[Any]]:
        """Returns the texts of examples for each of `text_inputs`: a list of texts, or for `is_list` of lists of texts.

        There is usually one row for each example. A task whose metrics need other texts returns those instead, and
        `evaluate` gets the answers in the same order.
        """

    def extra_answers(self, example: ExampleT, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Returns further fields of a prediction, such as the id of a question, as JSON values.

        Args:
            example: The example that the prediction is for.
            answer: The prediction: the texts, and the values of `readable_answer`.
        """
        return {}

    def examples_of_words(self, column: Sequence[Any]) -> list[ExampleT] | None:
        """Returns the examples of texts that are given as lists of words.

        Returns None for other texts, and in tasks that do not read words.
        """
        return None

    def examples_of_texts(self, texts: Sequence[Any]) -> list[ExampleT] | None:
        """Returns the examples of texts that hold the other inputs as well, such as marked spans.

        Returns None in tasks that do not read such texts.

        Raises:
            UsageError: A text does not hold the other inputs.
        """
        return None

    @classmethod
    def from_settings(cls: type[TaskT], settings: Mapping[str, Any]) -> TaskT:
        """Makes the task from the settings in kbert.json, which `settings` returned.

        Raises:
            KeyError: A setting is missing.
            TypeError: A setting has another type.
            ValueError: The value of a setting is invalid; also UsageError.
        """
        return cls(**read_settings(settings, cls.saved_fields, cls.optional_fields))

    def settings(self) -> dict[str, Any]:
        """Returns the settings for kbert.json, with the task's "name"."""
        return {"name": self.name, **{name: getattr(self, name) for name in self.saved_fields}}

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> AnsweringTask[ExampleT] | None:
        """Returns the task of a model of another library; None if the model is for another task.

        Args:
            bundle: The model folder.
            paired: Whether the model classifies pairs of texts, which config.json does not tell.
        """
        return None

    # === Texts to features ===

    def adapt_tokenizer(self, tokenizer: Tokenizer) -> Tokenizer:
        """Returns the tokenizer for the texts of this task, given that of the model."""
        return tokenizer

    @property
    @abc.abstractmethod
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The texts that the model takes, in order."""

    @property
    def evaluation_inputs(self) -> tuple[TextInput, ...]:
        """The inputs of `without_prompts` of a text model, which are usually `text_inputs`."""
        return self.text_inputs

    def add_prompts(self, inputs: Tensors) -> Tensors:
        """Puts prompts before the texts of a request, in the graph. Most tasks have none."""
        return inputs

    def encode(self, encode: GraphEncoder, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Converts strings to the features of the model, in the graph.

        Long texts may give several rows (windows). Tensors that are not inputs of the model are for `served_answers`.

        Args:
            encode: The tokenizer in the graph, with the sequence length.
            inputs: Strings by the names of `text_inputs`.
        """
        return encode(*(inputs[text.name] for text in self.text_inputs))

    def second_pass(self, encode: GraphEncoder, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor] | None:
        """Returns the features of a second pass, in the graph, and what `served_answers` needs; None for no such pass.

        The model then reads these features, and `served_answers` gets its outputs for them, and the tensors that this
        method returned. A task with a second pass sets `one_pass` to False.

        Args:
            encode: The tokenizer in the graph.
            outputs: The outputs of the model for the features of `encode`.
            encoded: All tensors that `encode` returned.
        """
        return None

    @property
    def keeps_end(self) -> bool:
        """Whether the first text of a pair loses its beginning instead of its end if the pair is too long."""
        return False

    # === Model ===

    @abc.abstractmethod
    def build(self, encoder: BertEncoder) -> Any:
        """Makes the Keras model: a dict of features in, a dict of raw outputs out."""

    def bindings(self, model: Any) -> TensorBindings:
        """Returns the variables of a model that `build` made, under the names of Hugging Face Transformers.

        A task whose model is not one of kbert's (`kbert.models.kinds`) overrides this method.
        """
        return kind_of_class(type(model)).bindings(model)

    def answer_outputs(self, model: Any, batch: Tensors, encode: GraphEncoder) -> dict[str, tf.Tensor]:
        """Returns the raw outputs for `served_answers` and `token_outputs`, in the graph.

        Most tasks call the model once. A task that runs it several times sets `one_pass` to False.

        Args:
            model: The model that `build` made.
            batch: The features in `model_features`.
            encode: The tokenizer in the graph, with the sequence length.
        """
        outputs: dict[str, tf.Tensor] = model(batch, training=False)
        return outputs

    # === Answers ===

    @property
    def constant_outputs(self) -> tuple[str, ...]:
        """The names of the raw outputs that do not depend on the inputs.

        A LiteRT file for phones returns them too, since an app needs them to compute what `served_answers` does.
        """
        return ()

    @abc.abstractmethod
    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Converts raw outputs to what a server answers, in the graph.

        Each tensor has a row for each row of the inputs. Lists of different lengths are padded with 0 or "" to the
        longest of the batch, and "count" holds their lengths (docs/tasks.md lists the keys of each task).

        Args:
            outputs: The outputs of the model.
            encoded: All tensors that `encode` returned.
        """

    @abc.abstractmethod
    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Converts raw outputs to float32 tensors for the token signature and LiteRT, which know no texts."""

    @abc.abstractmethod
    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Converts one row of `served_answers`, as NumPy arrays, to JSON values for people."""

    @abc.abstractmethod
    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats a prediction (the texts, and `readable_answer`) as a line for a terminal."""

    # === Words for people ===

    @property
    def description(self) -> str:
        """What the model does, for a model card."""
        return f"{self.name}: {self.info().help}"

    @property
    def sample_arguments(self) -> str:
        """Arguments of `kbert predict`, as an example in a model card."""
        first, *others = self.text_inputs
        return " ".join([f"'A {first.column} of your own'", *(f"--pair 'and its {text.column}'" for text in others)])


def check_one_pass(task: AnsweringTask[Any], option: str, *value: str) -> None:
    """Checks that the models of a task run their encoder once for a text, which an option needs.

    Args:
        task: The task.
        option: The option, such as "engine".
        value: The value of the option, if other values do not need it.

    Raises:
        OptionError: The models run their encoder several times.
    """
    if not task.one_pass:
        raise option_error(
            lambda spell: (
                f"{spell(option, *value)} is for tasks that read a text once. Received: a model for {task.name}; "
                "leave it out"
            )
        )


def no_examples(rows: str, bad: BadRows, path: PathLike) -> DataError:
    """Returns the error about a file without a valid example."""
    why = f": {bad.summary}" if bad.count else ""
    return DataError(f"expected {rows}. There are none{why}", path)

"""What a task is: everything that fine-tuning, evaluation, prediction and export ask of it."""

from __future__ import annotations

import abc
import copy
import dataclasses
import importlib
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.errors import BundleError, DataError, UsageError, shown
from kbert.files import PathLike
from kbert.model_folder.architectures import check_architecture
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.sentence_transformers import EMBEDDER, POOLINGS, SentenceModules, named_activation
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import TensorBindings
from kbert.tasks.catalogue import TASKS, TaskInfo, task_info
from kbert.tasks.metrics.names import LOSS, larger_is_better
from kbert.tasks.readers.bad_rows import BadRows
from kbert.tasks.saved_settings import Kind, read_settings
from kbert.tasks.training_rows import TrainingRows
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer

Tensors = Mapping[str, tf.Tensor]
ExampleT = TypeVar("ExampleT")
TaskT = TypeVar("TaskT", bound="Task[Any]")  # typing.Self needs Python 3.11


@dataclasses.dataclass(frozen=True)
class TextInput:
    """A text that a model is asked with.

    Args:
        name: Of the tensor of strings in the serving signature, [B].
        column: Of the column that holds it; also its name in predictions.
        several: Whether an example has several of them, such as choices: [B, C], unused places "".
    """

    name: str
    column: str
    several: bool = False


class Task(abc.ABC, Generic[ExampleT]):
    """A task that a BERT is fine-tuned for.

    A task object knows its labels and settings, but no weights: those are in the Keras model that `build` makes.
    Examples are dataclasses of the task's own, with the 1-based `line` of their file (0 for none).

    The way of the data, in training: `read` → `from_examples` → `checked` → `training_rows` → `numerators` /
    `denominators`. In answering: `inputs` (or texts of the caller's own) → `encode` → the model → `answers`, all of it
    in the exported graph; then `answer` and `text_line` for people, `evaluate` for metrics.
    """

    name: ClassVar[str]
    """As in kbert.tasks.catalogue."""
    architecture: str
    """Transformers' class for the same model."""
    main_metric: str
    """The metric of `evaluate` that decides which checkpoint is best."""
    losses: tuple[str, ...]
    """The names of the metrics in `numerators` whose sum is minimized."""
    pooled: ClassVar[bool] = True
    """Whether the encoder has the pooler."""
    windowed: ClassVar[bool] = False
    """Whether `encode` may give many rows a text, so that the graph runs them in parts."""
    whole_batches: bool = False
    """Whether the loss compares the examples of a batch, so that no replica or micro-batch may have only a part."""
    rows: ClassVar[str]
    """What a file holds, for messages."""
    saved: ClassVar[Mapping[str, Kind]] = {}
    """What a bundle remembers of it: arguments and attributes of the same names, and what they may be."""
    newer: ClassVar[Collection[str]] = ()
    """Those of `saved` that the bundles of an older kbert do not have."""
    longest_input: int | None = None
    """The longest input in tokens that the model it is trained from is for; None where the catalogue decides."""
    model_features: tuple[features.Feature, ...] = features.ENCODER_FEATURES
    """What the model takes of what `encode` gives; also the inputs of the token signature and of LiteRT."""

    # === Reading ===

    @classmethod
    def info(cls) -> TaskInfo:
        """Its entry in the catalogue."""
        return task_info(cls.name)

    @classmethod
    def read(
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
        examples = list(cls.read_examples(path, chosen, options or {}, targets=targets, bad=bad))
        if not examples:
            raise _nothing(cls.rows, bad, path)
        return examples

    @classmethod
    @abc.abstractmethod
    def read_examples(
        cls, path: PathLike, columns: Mapping[str, str], options: Mapping[str, Any], *, targets: bool, bad: BadRows
    ) -> Iterable[ExampleT]:
        """The examples of a file, for `read`; of `options` only those are there that are named."""

    @classmethod
    def reads(cls, path: PathLike) -> bool:
        """Whether a file, by its ending, is of a format of the task's own: neither a table nor a text a line."""
        return False

    @classmethod
    @abc.abstractmethod
    def from_examples(
        cls, examples: Sequence[ExampleT], path: PathLike, options: Mapping[str, Any] | None = None
    ) -> Task[ExampleT]:
        """Makes the task for training examples: discovers labels, say. `options` are the catalogue's."""

    @classmethod
    def from_settings(cls: type[TaskT], settings: Mapping[str, Any]) -> TaskT:
        """Makes it anew from what `settings` gave.

        Raises:
            KeyError: A setting is not there.
            TypeError: A setting is of another type.
            ValueError: A setting cannot have that value; also UsageError.
        """
        return cls(**read_settings(settings, cls.saved, cls.newer))

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> Task[ExampleT] | None:
        """The task of a model of another library; None where config.json says that it is for another."""
        return None

    def started_from(self, folder: PathLike) -> Task[ExampleT]:
        """The task for training from a model folder, whose files may give settings that the user did not."""
        return self

    def with_pooling(self, pooling: str) -> Task[ExampleT]:
        """The task with this pooling.

        Raises:
            UsageError: The task has no pooling.
        """
        raise UsageError(f"--pooling is for models that give vectors; leave it out. Received: a model for {self.name}")

    def with_prompt(
        self, prompt: str | None, prompt_name: str | None = None, pair_prompt: str | None = None
    ) -> Task[ExampleT]:
        """The task with prompts, which are put before texts.

        Args:
            prompt: The text that is put before each text.
            prompt_name: The name of a prompt of the model, instead of `prompt`.
            pair_prompt: The prompt of the second texts of pairs in an evaluation.

        Raises:
            UsageError: The task has no prompts, or no prompt of that name.
        """
        raise UsageError(f"--prompt is for models that give vectors; leave it out. Received: a model for {self.name}")

    def sentence_modules(self, sequence_length: int) -> SentenceModules | None:
        """The settings for the files of sentence-transformers; None if the task needs no such files."""
        return None

    def settings(self) -> dict[str, Any]:
        """What a bundle remembers of it; JSON. "name" is the task's."""
        return {"name": self.name, **{name: getattr(self, name) for name in self.saved}}

    def foreign_config(self) -> dict[str, Any]:
        """Keys that Transformers wants in config.json."""
        return {}

    def checked(self, examples: Sequence[ExampleT], path: PathLike, bad: BadRows | None = None) -> list[ExampleT]:
        """The examples whose targets can be; the others go to `bad`.

        Raises:
            DataError: A target cannot be, such as a label that training never saw; with file and line.
        """
        bad = bad or BadRows()
        checked = []
        for example in examples:
            try:
                checked.append(self.check(example))
            except ValueError as problem:
                bad.skip(DataError(str(problem), path, getattr(example, "line", 0) or None))
        if examples and not checked:
            raise _nothing(self.rows, bad, path)
        return checked

    def check(self, example: ExampleT) -> ExampleT:
        """The example, its target as training wants it; ValueError tells why it cannot be used."""
        return example

    def group(self, example: ExampleT) -> Hashable | None:
        """What an example shares with others, such as its dialogue: all are learnt from, or all held out; or None."""
        return None

    def validated_by(self, examples: Sequence[ExampleT], path: PathLike) -> Task[ExampleT]:
        """The task, once it is known what it is validated by: `main_metric` may depend on it.

        Raises:
            DataError: The examples do not say what is needed to measure it.
        """
        return self

    def decided_by(self, metric: str) -> Task[ExampleT]:
        """The task with this main metric: "loss" or one of `info().metrics`.

        Raises:
            UsageError: The task does not have this metric.
        """
        names = (*self.info().metrics, LOSS)
        if metric not in names:
            raise UsageError(f"main_metric must be one of {', '.join(names)}. Received: main_metric={shown(metric)}")
        task = copy.copy(self)
        task.main_metric = metric
        return task

    @property
    def larger_is_better(self) -> bool:
        """Whether larger values of the main metric are better."""
        return larger_is_better(self.main_metric)

    # === Texts to features ===

    def tokenizer(self, tokenizer: Tokenizer) -> Tokenizer:
        """The tokenizer for its texts, out of the model's."""
        return tokenizer

    @property
    @abc.abstractmethod
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The texts that it is asked with, in order."""

    @abc.abstractmethod
    def inputs(self, examples: Sequence[ExampleT]) -> dict[str, list[Any]]:
        """What to ask for examples: a list of texts (lists of texts, for `several`) for each of `text_inputs`.

        Mostly with a row an example. A task whose metrics need other questions asks those: `evaluate` gets the
        answers in the same order.
        """

    def asked(self, examples: Sequence[ExampleT]) -> dict[str, list[Any]]:
        """The texts whose answers `evaluate` needs: `inputs`, with the prompts of `prompted`."""
        return self.inputs(examples)

    def prompted(self, inputs: Tensors) -> Tensors:
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

    @abc.abstractmethod
    def training_rows(self, examples: Sequence[ExampleT], encode: GraphEncoder) -> TrainingRows:
        """Tokens and targets of examples; the tokens are those that `encode` gives in the graph."""

    def adapted(self, examples: Sequence[ExampleT], encode: GraphEncoder) -> Task[ExampleT]:
        """The task with settings that follow from the training examples, such as the longest answer."""
        return self

    def validation_rows(self, examples: Sequence[ExampleT], encode: GraphEncoder) -> TrainingRows | None:
        """The rows that the validation loss is measured on; None if the examples lack the targets of the loss."""
        return self.training_rows(examples, encode)

    # === Model ===

    @abc.abstractmethod
    def build(self, encoder: BertEncoder) -> Any:
        """A Keras model from features to raw outputs, a dict of tensors."""

    @abc.abstractmethod
    def bindings(self, model: Any) -> TensorBindings:
        """The variables of that model under Transformers' names."""

    @abc.abstractmethod
    def numerators(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """See kbert.training.loop.objectives.Objective."""

    @abc.abstractmethod
    def denominators(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """See kbert.training.loop.objectives.Objective."""

    @property
    def head_rows(self) -> Sequence[str] | None:
        """The names of the rows of the head's tensors, such as labels; None if only their number matters."""
        return None

    # === Answers ===

    @abc.abstractmethod
    def answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Raw outputs to what a server answers, in the graph.

        Each tensor has a row for each row of the inputs. What differs in number is padded to the most of the batch,
        with 0 or "", and its count is a tensor of its own.

        Args:
            outputs: Of the model.
            encoded: All that `encode` gave.
        """

    @abc.abstractmethod
    def token_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """What can be said of token ids alone: the outputs of the token signature and of LiteRT, float32."""

    @abc.abstractmethod
    def answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """One row of `answers`, as NumPy, to what a person reads; JSON."""

    @abc.abstractmethod
    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """A prediction (texts and `answer`) on a line for a terminal."""

    def tuned(self, examples: Sequence[ExampleT], answers: Mapping[str, np.ndarray]) -> Task[ExampleT]:
        """The task with thresholds, if it has any, that do best on these answers."""
        return self

    @abc.abstractmethod
    def evaluate(self, examples: Sequence[ExampleT], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Metrics of the answers to `inputs(examples)`; JSON.

        Numbers are metrics. "per_class" is a table {label: {precision, recall, f1, support}}; "labels" and
        "confusion_matrix" (rows true) belong together.
        """

    def trivial_metrics(
        self, train: Sequence[ExampleT], validation: Sequence[ExampleT]
    ) -> tuple[str, dict[str, Any]] | None:
        """The metrics that a constant answer reaches, such as always the most frequent label.

        Args:
            train: The examples that the answer is derived from.
            validation: The examples that the metrics are measured on.

        Returns:
            The answer in words that continue "a model that", and the metrics of `evaluate`; None if the task has no
            constant answer.
        """
        return None

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


def _nothing(rows: str, bad: BadRows, path: PathLike) -> DataError:
    why = f": {bad.summary}" if bad.count else ""
    return DataError(f"expected {rows}. There are none{why}", path)


def task_class(name: str) -> type[Task[Any]]:
    """The class of a task, imported now.

    Raises:
        UsageError: There is no task of that name.
    """
    module, class_name = task_info(name).where.split(":")
    task: type[Task[Any]] = getattr(importlib.import_module(module), class_name)
    return task


def task_from_bundle(
    bundle: Bundle,
    folder: PathLike,
    *,
    paired: bool | None = None,
    task: str | None = None,
    pooling: str | None = None,
) -> Task[Any]:
    """The task that a bundle was fine-tuned for, by kbert or by another library.

    Args:
        bundle: A model folder's content.
        folder: Where it was read, for messages.
        paired: Whether examples are pairs of texts. Only classifiers of other libraries need this argument.
        task: The task, if the files of another library do not determine it.
        pooling: How a text's vector is made from those of its tokens; it overrules the files of the model.

    Raises:
        BundleError: The bundle is for no task, or its settings are damaged.
        UsageError: An argument contradicts the settings in kbert.json.
    """
    if pooling is not None and pooling not in POOLINGS:
        raise UsageError(f"pooling must be one of {', '.join(POOLINGS)}. Received: pooling={shown(pooling)}")
    values = bundle.settings.get("task")
    if not values:
        found = _foreign_task(bundle, folder, bool(paired), task, pooling)
    else:
        found = _own_task(values, folder, paired, task)
    return found if pooling is None else found.with_pooling(pooling)


def _own_task(values: Any, folder: PathLike, paired: bool | None, wanted: str | None) -> Task[Any]:
    try:
        task = task_class(values["name"]).from_settings(values)
    except (KeyError, TypeError, AttributeError, ValueError, UsageError) as problem:
        raise BundleError(f"{folder}: the task in kbert.json cannot be used ({problem!s:.200})") from None
    if paired is not None and getattr(task, "paired", paired) != paired:
        raise UsageError(f"{folder} reads {describe_inputs(task)}")
    if wanted is not None and wanted != task.name:
        raise UsageError(f"{folder} is for {task.name}. Received: {wanted}")
    return task


def describe_inputs(task: Task[Any]) -> str:
    """What a task is asked with, in words."""
    columns = [text.column for text in task.text_inputs]
    if columns == ["text"]:
        return "single texts"
    return "pairs of texts" if columns == ["text", "pair"] else " and ".join(columns)


def _foreign_task(bundle: Bundle, folder: PathLike, paired: bool, wanted: str | None, pooling: str | None) -> Task[Any]:
    """The first task that accepts the head in config.json, or the modules in modules.json."""
    modules = bundle.modules
    names: Iterable[str] = TASKS
    if wanted is not None:
        names = [task_info(wanted).name]
    elif is_cross_encoder(bundle):
        names = ["ranking"]
    elif pooling is not None or (modules is not None and modules.kind == EMBEDDER):
        names = ["embedding"]
    if names == ["embedding"]:
        if modules is not None and modules.unsupported is not None:
            raise BundleError(
                f"{folder} has {modules.unsupported}, which kbert does not compute; its encoder can be fine-tuned "
                "(`kbert finetune`), and gives plain vectors with `kbert predict --features`"
            )
        if modules is None and pooling is not None:
            bundle = dataclasses.replace(bundle, modules=SentenceModules(pooling))
    elif modules is not None and modules.unsupported is not None:
        raise BundleError(f"{folder} has {modules.unsupported}, which kbert does not compute")
    for name in names:
        try:
            task = task_class(name).from_foreign(bundle, paired=paired)
        except ValueError as wrong:
            raise BundleError(f"{folder}: config.json cannot be used ({wrong!s:.200})") from None
        if task is not None:
            if task.name != "embedding":  # embedding needs the encoder alone
                check_architecture(bundle.shapes, bundle.config, bundle.architecture, len(bundle.labels))
            return task
    if wanted is not None:
        raise BundleError(f"{folder} cannot be read as a model for {wanted} ({bundle.architecture:.80})")
    if bundle.architecture == "BertModel":
        raise BundleError(
            f"{folder} is an encoder (BertModel) without a task; give --pooling mean, cls or max (in Python pooling=) "
            "for vectors of texts, or fine-tune it with `kbert finetune`"
        )
    problem = bundle.foreign_config.get("problem_type")
    about = f"{bundle.architecture:.80}, problem_type {shown(problem)}" if problem else f"{bundle.architecture:.80}"
    raise BundleError(
        f"{folder} is for no task yet ({about}); make one of it with `kbert finetune`, or use its Keras model: "
        "kbert.load_model"
    )


def is_cross_encoder(bundle: Bundle) -> bool:
    """Whether a model of another library with a single logit ranks pairs, rather than being a regression.

    It is a cross-encoder if config.json names an activation, or if its files are those of a CrossEncoder of
    sentence-transformers. Otherwise it is a cross-encoder unless config.json has a problem_type, which Transformers
    writes when it trains a regression.
    """
    if bundle.architecture != "BertForSequenceClassification" or len(bundle.labels) != 1:
        return False
    return named_activation(bundle.foreign_config, bundle.modules)[0] or not bundle.foreign_config.get("problem_type")

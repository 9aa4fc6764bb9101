"""A loaded model that predicts from text."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert.config import BertConfig
from kbert.errors import BundleError, DataError, UsageError, shown
from kbert.files import PathLike
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.hub import resolve
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors
from kbert.options import option_error, with_options
from kbert.prediction.options import EvaluateOptions, LoadOptions, PredictOptions
from kbert.sources.bad_rows import BadRows
from kbert.sources.memory_table import as_table, is_path
from kbert.sources.table_format import TableFormat, file_kind
from kbert.tasks.factories import describe_inputs, embedding_task, task_from_bundle
from kbert.tasks.protocol.answering import AnsweringTask
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import as_strings
from kbert.tasks.readers.kept_columns import read_kept_columns
from kbert.tasks.readers.remembered import Reading
from kbert.tasks.readers.tables import has_columns
from kbert.tasks.task_info import named_columns
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer

_AT_ONCE = 4096
"""The number of rows of a file that are read and predicted as one part."""
_ROWS_AT_ONCE = 64
"""The number of windows of long texts that the model processes together."""


class TextModel(tf.Module):
    """A model from text to answers as one graph. Evaluation, export and serving all use it.

    Args:
        task: The task, which converts the outputs of the model to answers.
        model: The Keras model that `task.build` returned.
        encode: Converts texts to features.
    """

    def __init__(self, task: AnsweringTask[Any], model: Any, encode: GraphEncoder) -> None:
        super().__init__(name="text_model")
        self.task = task
        self.model = model
        self.encode = encode
        self.text_specs = texts = [
            tf.TensorSpec([None] * (1 + text.is_list), tf.string, name=text.name) for text in task.text_inputs
        ]
        ids = [
            tf.TensorSpec([None] * (1 + len(feature.dimensions)), feature.dtype, name=feature.name)
            for feature in task.model_features
        ]
        self.from_text = _function(self._from_text, texts)
        self.from_tokens = _function(self._from_tokens, ids)

    def _from_text(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._from_prompted(self.task.add_prompts(inputs))

    def _from_prompted(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        encoded = self.task.encode(self.encode, inputs)
        return self.task.served_answers(self._outputs(encoded), encoded)

    def without_prompts(self) -> Any:
        """Returns a tf.function like `from_text`, for texts that already have their prompts. It is not exported."""
        return _function(self._from_prompted, self.text_specs)

    def _from_tokens(self, encoded: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self.task.token_outputs(self.model(encoded, training=False), encoded)

    def _outputs(self, encoded: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        batch = {feature.name: encoded[feature.name] for feature in self.task.model_features}
        if not self.task.windowed:
            outputs: dict[str, tf.Tensor] = self.model(batch, training=False)
            return outputs
        return _in_parts(lambda part: self.model(part, training=False), batch)


def _function(call: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]], specs: Sequence[tf.TensorSpec]) -> Any:
    """Returns a tf.function with an argument for each spec, of the same name. It calls `call` with them as a dict."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(spec.name, kind) for spec in specs])

    def function(*values: tf.Tensor, **named: tf.Tensor) -> dict[str, tf.Tensor]:
        return call(dict(signature.bind(*values, **named).arguments))

    function.__signature__ = signature  # type: ignore[attr-defined]
    return tf.function(function, input_signature=specs)


def _in_parts(
    model: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]], batch: Mapping[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Runs a model on parts of _ROWS_AT_ONCE rows, since all windows of a long text may not fit in memory."""
    first = {name: values[:_ROWS_AT_ONCE] for name, values in batch.items()}
    total = tf.shape(next(iter(batch.values())))[0]
    outputs = model(first)

    def more(begin: tf.Tensor, so_far: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        part = model({name: values[begin : begin + _ROWS_AT_ONCE] for name, values in batch.items()})
        return begin + _ROWS_AT_ONCE, {name: tf.concat([so_far[name], part[name]], 0) for name in so_far}

    shapes = {name: tf.TensorShape([None, *values.shape[1:]]) for name, values in outputs.items()}
    _, outputs = tf.while_loop(
        lambda begin, _: begin < total,
        more,
        (tf.constant(_ROWS_AT_ONCE), outputs),
        shape_invariants=(tf.TensorShape([]), shapes),
        parallel_iterations=1,
    )
    return outputs


class Texts(list[str]):
    """The texts of a file with one text per line."""


class Predictor:
    """A fine-tuned model that predicts from text; `kbert.load` returns it.

    Args:
        task: The task of the model.
        model: The Keras model that `task.build` returned.
        tokenizer: The tokenizer of the model.
        sequence_length: The maximum number of tokens of an input.
        encode: The tokenizer as a graph; the default is to build it.
        reading: How files are read by default: their columns and format.

    Example:
        >>> model = kbert.load("RUN")
        >>> model.predict(["a fine film"])
        [{'text': 'a fine film', 'label': '1', 'probabilities': {'0': 0.02, '1': 0.98}}]
    """

    def __init__(
        self,
        task: AnsweringTask[Any],
        model: Any,
        tokenizer: Tokenizer,
        sequence_length: int,
        encode: GraphEncoder | None = None,
        reading: Reading | None = None,
    ) -> None:
        self.task = task
        self.model = model
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.reading = reading or Reading()
        encode = encode or GraphEncoder(tokenizer.to_graph(), sequence_length)
        self.text_model = TextModel(task, model, encode)
        self._without_prompts: Any = None

    @property
    def encoder(self) -> BertEncoder:
        """The encoder, a Keras model from features to vectors."""
        encoder: BertEncoder = self.model.encoder
        return encoder

    @property
    def config(self) -> BertConfig:
        """The configuration of the encoder."""
        return self.encoder.config

    def with_task(self, task: AnsweringTask[Any]) -> Predictor:
        """Returns a predictor with the same weights and a task that differs only in its texts, such as in a prompt."""
        return Predictor(task, self.model, self.tokenizer, self.sequence_length, self.text_model.encode, self.reading)

    @with_options(PredictOptions)
    def predict(self, *columns: Any, options: PredictOptions) -> list[dict[str, Any]]:
        """Returns the predictions for texts, in the order of the texts.

        Args:
            columns: A sequence for each input of the task (see `task.text_inputs`): texts; texts and their second
                texts; or questions and contexts. Single strings instead of sequences are one row. A table in memory (a
                data frame or a list of dictionaries) can be given instead; its columns have the names that the model
                was fine-tuned with. A tagger also accepts texts that are lists of words.
            options: All of these options in one object.

        Returns:
            A dict for each text, with the inputs ("text", "pair" …) and the answer of the task; for classification the
            answer is "label" and "probabilities".

        Raises:
            UsageError: The number of columns is not that of the task, or a value is not a text.
            DataError: A column of the table is missing, or a cell is not a text.
        """
        if len(columns) == 1:
            table = as_table(columns[0], "the table")
            if table is not None:
                return list(self.predict_file(table, options=options))
            if isinstance(columns[0], Sequence) and (words := self.task.examples_of_words(columns[0])):
                return self._predictions(words, options.batch_size)
        if options.keep_columns:
            raise option_error(
                lambda spell: (
                    f"{spell('keep_columns')} is for data frames and lists of dictionaries. "
                    f"Received: {spell('keep_columns', options.keep_columns)}"
                )
            )

        return self._predict(self._inputs(columns), options.batch_size)

    @with_options(PredictOptions)
    def predict_file(
        self, input: PathLike | Any, *, options: PredictOptions, **reading: Any
    ) -> Iterator[dict[str, Any]]:
        """Yields the predictions for the rows of a file, in the order of the rows.

        Args:
            input: A table, a file with one text per line, a file in a format of the task, or a table in memory.
            options: All of these options in one object.
            reading: The columns of a table, as `text_column` and so on, and the options of the task that describe the
                file, such as `delimiter`. The defaults are those used in fine-tuning.

        Yields:
            The predictions, in the form of `predict`. Those for questions include "id" if the file has one. Those of a
            tagger for texts that are lists of words include "words", each with its "tag" in IOB2.

        Raises:
            DataError: The file is unreadable or empty, or a column is missing.
            UsageError: `keep_columns` names columns, but the file is not a table; or an option is unknown or invalid.
        """
        batch_size, keep = options.batch_size, options.keep_columns
        found = self._read(input, reading)
        if isinstance(found, Texts):
            if keep:
                raise UsageError(
                    f"{input}: expected a table, which has columns to keep. Received: a file with one text per line"
                )
            texts = self.task.text_inputs[0].name
            for start in range(0, len(found), _AT_ONCE):
                yield from self._predict({texts: list(found[start : start + _AT_ONCE])}, batch_size)
            return
        table = as_table(input, "the table") or input
        kept = read_kept_columns(table, keep, TableFormat.from_options(self._reading(reading).options))
        for start in range(0, len(found), _AT_ONCE):
            part = found[start : start + _AT_ONCE]
            for example, prediction in zip(part, self._predictions(part, batch_size), strict=True):
                yield _with_kept(kept.get(example.line, {}), prediction)

    def _predictions(self, examples: Sequence[Any], batch_size: int) -> list[dict[str, Any]]:
        found = self._predict(self.task.texts_of(examples), batch_size)
        return [
            {**prediction, **self.task.extra_answers(example, prediction)}
            for example, prediction in zip(examples, found, strict=True)
        ]

    def _predict(self, inputs: Mapping[str, list[Any]], batch_size: int) -> list[dict[str, Any]]:
        answers = self._answers(inputs, batch_size)
        asked = {text.column: inputs[text.name] for text in self.task.text_inputs}
        return [
            {name: values[index] for name, values in asked.items()}
            | self.task.readable_answer({name: values[index] for name, values in answers.items()})
            for index in range(len(next(iter(asked.values()))))
        ]

    def answers(self, *columns: Any, batch_size: int = 64) -> dict[str, np.ndarray]:
        """Returns the answers as the served model returns them: arrays with a row for each text.

        Args:
            columns: The inputs; see `predict`.
            batch_size: The number of texts that are processed together.
        """
        return self._answers(self._inputs(columns), batch_size)

    def read_inputs(self, path: PathLike | Any, **reading: Any) -> list[list[Any]]:
        """Reads a file, and returns its texts as arguments for `predict`.

        Args:
            path: A table, a file with one text per line, a file in a format of the task, or a table in memory.
            reading: The columns and the options that describe the file; see `predict_file`.

        Raises:
            DataError: The file is unreadable or empty.
        """
        found = self._read(path, reading)
        return [list(found)] if isinstance(found, Texts) else list(self.task.texts_of(found).values())

    def _read(self, path: PathLike | Any, given: Mapping[str, Any]) -> list[Any]:
        """Returns the examples of a table, or the `Texts` of a file with one text per line."""
        reading = self._reading(given)
        table = as_table(path, "the table")
        if table is not None:
            return self.task.read_examples(table, reading.columns, options=reading.options, targets=False)
        form = TableFormat.from_options(reading.options)
        if (
            len(self.task.text_inputs) == 1
            and not self.task.has_own_format(path)
            and not self._is_table(path, reading, given)
        ):
            texts = list(form.lines(path))
            if not texts:
                raise DataError("expected one text per line. Received: an empty file", path)
            return Texts(texts)
        return self.task.read_examples(path, reading.columns, options=reading.options, targets=False)

    def _reading(self, given: Mapping[str, Any]) -> Reading:
        """Returns how a file is read: the remembered columns and options, overridden by those that are given.

        Args:
            given: The columns, as `text_column` and so on, and the options by name.

        Raises:
            UsageError: The task has no column or option of that name.
        """
        columns, options = named_columns(given)
        self.task.info().choose_options(options)
        reading = self.reading.overruled(columns, options)
        has_pair = any(column.role == "pair" for column in self.task.info().columns)
        if has_pair and getattr(self.task, "paired", True) is False and not reading.columns.get("pair"):
            # This model takes single texts, so a column with the default name of the second text is ignored.
            return reading.overruled({"pair": ""}, None)
        return reading

    def _is_table(self, path: PathLike, reading: Reading, given: Mapping[str, Any] | None) -> bool:
        """Returns whether a file is a table, and not a file with one text per line.

        A file whose ending does not decide this is a table if it has the columns and the format of the training file.
        """
        form = TableFormat.from_options(reading.options)
        if file_kind(path, form) != "text" or (given or {}).get("delimiter") is not None:
            return True
        columns = self.task.info().choose_columns(reading.columns, targets=False)
        return form.delimiter is not None and has_columns(path, columns, form)

    @with_options(EvaluateOptions)
    def evaluate(self, data: PathLike | Any, *, options: EvaluateOptions, **reading: Any) -> dict[str, Any]:
        """Returns the metrics of the model on labelled examples.

        Args:
            data: A file that the task reads, a table in memory (a data frame or a list of dictionaries), or a list of
                examples of the task.
            options: All of these options in one object.
            reading: The columns of a table, as `text_column` and so on, and the options of the task that describe the
                file, such as `delimiter`. The defaults are those used in fine-tuning.

        Example:
            >>> model = kbert.load("RUN")
            >>> metrics = model.evaluate([{"review": "the cat", "label": "fine"}], text_column="review")
            >>> metrics["examples"]
            1

        Raises:
            DataError: The file is unreadable, or contains a label that did not occur in training.
            UsageError: The type of `data` is invalid.
        """
        task = self._trainable()
        path: PathLike = "examples"
        bad = BadRows(options.skip_bad)
        table = as_table(data, "the table")
        if table is not None or is_path(data):
            path = table or data
            chosen = self._reading(reading)
            data = task.read_examples(path, chosen.columns, options=chosen.options, bad=bad)
        elif not isinstance(data, Sequence) or not data or not all(map(dataclasses.is_dataclass, data)):
            raise UsageError(
                "expected a file, a data frame, a list of rows that are dictionaries, or examples of the task. "
                f"Received: {shown(data)}"
            )
        examples = task.keep_valid(data, path, bad)
        metrics = task.evaluate(examples, self.answers_for_examples(examples, batch_size=options.batch_size))
        return metrics | ({"skipped": bad.count} if options.skip_bad else {})

    def answers_for_examples(self, examples: Sequence[Any], *, batch_size: int = 64) -> dict[str, np.ndarray]:
        """Returns the answers to labelled examples as the served model returns them."""
        if self._without_prompts is None:
            self._without_prompts = self.text_model.without_prompts()
        return self._answers(self._trainable().evaluation_texts(examples), batch_size, self._without_prompts)

    def _trainable(self) -> TrainableTask[Any]:
        """Returns the task if it has metrics.

        Raises:
            UsageError: The task has no metrics.
        """
        if not isinstance(self.task, TrainableTask):
            raise UsageError(
                f"the task {self.task.name} is not evaluated on a file; `kbert evaluate RUN --corpus DIR` measures the "
                "predictions of a pretrained model"
            )
        return self.task

    def _inputs(self, columns: Sequence[Any]) -> dict[str, list[Any]]:
        columns = [column for column in columns if column is not None]
        given = self._columns(columns)
        texts = self.task.text_inputs
        if len(given) != len(texts):
            way = "leave out the second ones" if len(columns) > len(texts) else "give the second ones too (--pair)"
            if getattr(self.task, "paired", True) is False:
                way += ", or load the model with paired=True if it is a classifier of pairs from another library"
            received = {1: "single texts", 2: "pairs of texts"}.get(len(columns), f"{len(columns)} columns")
            raise UsageError(f"this model answers for {describe_inputs(self.task)}; {way}. Received: {received}")
        for text, column in zip(texts[1:], given[1:], strict=True):
            if len(column) != len(given[0]):
                raise UsageError(
                    f"expected as many {text.column}s as {texts[0].column}s. "
                    f"Received: {len(column)} and {len(given[0])}"
                )
        for text, column in zip(texts, given, strict=True):
            wrong = [value for value in column if not _is_asked(value, text.is_list)]
            if wrong:
                wanted = f"a list of {text.column} for each row" if text.is_list else f"a text for each {text.column}"
                raise UsageError(f"expected {wanted}. Received: {shown(wrong[0])}")
        return {text.name: column for text, column in zip(texts, given, strict=True)}

    def _columns(self, given: Sequence[Any]) -> list[list[Any]]:
        """Returns a list of texts for each input, given a table, lists or single strings."""
        if len(given) == 1 and (table := as_table(given[0], "the table")) is not None:
            return self.read_inputs(table)
        texts = self.task.text_inputs
        if len(given) == len(texts) and any(
            isinstance(value, str) and not text.is_list for text, value in zip(texts, given, strict=True)
        ):
            given = [[value] for value in given]
        lists = []
        for value in given if len(given) == len(texts) else ():
            if isinstance(value, (str, bytes, Mapping, set, frozenset, os.PathLike)) or not isinstance(value, Iterable):
                raise UsageError(
                    "expected a list of texts for each column, or one table: a data frame, or a list of dictionaries. "
                    f"Received: {shown(value)}"
                )
            lists.append(list(value))
        return lists

    def _answers(self, inputs: Mapping[str, list[Any]], batch_size: int, function: Any = None) -> dict[str, np.ndarray]:
        function = function or self.text_model.from_text
        columns = list(inputs.values())
        if not columns[0]:
            return {}
        # Texts of similar length form a batch, since a batch is padded to its longest text.
        order = np.argsort([sum(map(_size, row)) for row in zip(*columns, strict=True)], kind="stable")
        parts: list[dict[str, np.ndarray]] = []
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            outputs = function(*(as_strings([column[row] for row in rows]) for column in columns))
            parts.append({name: value.numpy() for name, value in outputs.items()})
        back = np.argsort(order, kind="stable")
        return {name: _joined([part[name] for part in parts])[back] for name in parts[0]}


def _with_kept(kept: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a prediction with the kept columns of its row in front.

    Raises:
        UsageError: A column has the name of a key of the prediction, and a different value.
    """
    for name, value in kept.items():
        if name in prediction and prediction[name] != value:
            raise UsageError(f"predictions have a key {name!r} of their own; rename the column to keep it")
    return {**kept, **prediction}


def _is_asked(value: Any, several: bool) -> bool:
    if not several:
        return isinstance(value, str)
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def _size(value: str | Sequence[str]) -> int:
    return len(value) if isinstance(value, str) else sum(map(len, value))


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the concatenation of arrays, padded with 0 or "" to the largest shape."""
    largest = np.max([part.shape[1:] for part in parts], axis=0)
    padded = []
    for part in parts:
        width = [(0, 0), *((0, int(most - size)) for most, size in zip(largest, part.shape[1:], strict=True))]
        padded.append(np.pad(part, width, constant_values=b"" if part.dtype == object else 0))
    return np.concatenate(padded)


@with_options(LoadOptions)
def load(model: PathLike, *, options: LoadOptions) -> Predictor:
    """Loads a fine-tuned model for predictions.

    Args:
        model: A model folder of `kbert.finetune` or of sentence-transformers; a folder that Hugging Face Transformers
            saved with the head of a task; or a model of the Hugging Face Hub as "hf://owner/name".
        options: All of these options in one object.

    Example:
        >>> model = kbert.load("pretrained", pooling="mean", prompt="query: ")
        >>> list(model.predict(["how do I return it?"])[0])
        ['text', 'vector']

    Raises:
        BundleError: The folder is not a model folder, is damaged, or contains a model without a task.
        HubError: The hub has no model of this name, or is unreachable.
        UsageError: An argument contradicts the files of the model.
    """
    bundle = Bundle.load(resolve(model))
    task = task_from_bundle(bundle, model, paired=options.paired, task=options.task, pooling=options.pooling)
    prompts = (options.prompt, options.prompt_name, options.pair_prompt)
    if any(prompt is not None for prompt in prompts):
        task = embedding_task(task, "--prompt").with_prompt(*prompts)
    return predictor_of(bundle, task, model)


def predictor_of(bundle: Bundle, task: AnsweringTask[Any], path: PathLike) -> Predictor:
    """Returns a predictor with the weights of a bundle.

    Raises:
        BundleError: The weights do not fit the task, or kbert.json is damaged.
    """
    model = task.build(BertEncoder(bundle.config, pooled=task.pooled))
    assign_tensors(task.bindings(model), bundle.tensors)
    return Predictor(
        task,
        model,
        task.adapt_tokenizer(bundle.tokenizer),
        _sequence_length(bundle, path),
        reading=_reading(bundle, task, path),
    )


def remembered_reading(path: PathLike) -> Reading:
    """Returns the columns and options with which a fine-tuned model read its training file.

    The result is empty for a model without a task.
    """
    bundle = Bundle.load(resolve(path), notices=False)
    if bundle.settings.get("kind") != "task":
        return Reading()
    return _reading(bundle, task_from_bundle(bundle, path), path)


def _reading(bundle: Bundle, task: AnsweringTask[Any], path: PathLike) -> Reading:
    try:
        return Reading.from_settings(bundle.settings.get("reading", {}), task.info())
    except (TypeError, UsageError) as problem:
        raise BundleError(f"{path}: the key reading of kbert.json is invalid ({problem!s:.200})") from None


def _sequence_length(bundle: Bundle, path: PathLike) -> int:
    most = bundle.config.max_position_embeddings
    length = bundle.settings.get("sequence_length", bundle.longest_input)
    if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= most:
        raise BundleError(f"{path}: kbert.json must have a sequence_length from 1 to {most}. Received: {shown(length)}")
    return length

"""A loaded model that predicts from text."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kbert.config import BertConfig
from kbert.errors import UsageError
from kbert.files import PathLike
from kbert.inference.litert_rows import LiteRtRows
from kbert.models.encoder import BertEncoder
from kbert.options import option_error, with_options
from kbert.prediction.evaluation import evaluation_metrics
from kbert.prediction.file_rows import check_no_columns, parts_of_rows, with_kept_columns
from kbert.prediction.input_files import InputFiles
from kbert.prediction.litert_text_model import LiteRtTextModel
from kbert.prediction.options import EvaluateOptions, ExplainOptions, PredictOptions
from kbert.prediction.text_batches import answers_in_batches
from kbert.prediction.text_columns import texts_by_input
from kbert.prediction.text_engine import TextEngine
from kbert.prediction.text_model import TextModel
from kbert.sources.bad_rows import BadRows
from kbert.sources.memory_table import as_table
from kbert.sources.table_format import TableFormat
from kbert.tasks.protocol.answering import AnsweringTask, TextInput
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.readers.kept_columns import KeptColumns
from kbert.tasks.readers.remembered import Reading
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer

ROWS_AT_ONCE = 4096
"""The number of rows of a file that are read and predicted as one part."""


class Predictor:
    """A fine-tuned model that predicts from text; `kbert.load` returns it.

    Args:
        task: The task of the model.
        model: The Keras model that `task.build` returned.
        tokenizer: The tokenizer of the model.
        sequence_length: The maximum number of tokens of an input.
        encode: The tokenizer as a graph; the default is to build it.
        reading: How files are read by default: their columns and format.
        litert: The encoder of the model as LiteRT runs it; by default TensorFlow computes the encoder.

    Example:
        >>> model = kbert.load("RUN")
        >>> (answer,) = model.predict(["the cat sat"])
        >>> answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
        True
    """

    def __init__(
        self,
        task: AnsweringTask[Any],
        model: Any,
        tokenizer: Tokenizer,
        sequence_length: int,
        encode: GraphEncoder | None = None,
        reading: Reading | None = None,
        litert: LiteRtRows | None = None,
    ) -> None:
        self.task = task
        self.model = model
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.reading = reading or Reading()
        self._files = InputFiles(task, self.reading)
        encode = encode or GraphEncoder(tokenizer.to_graph(), sequence_length)
        self.text_model = TextModel(task, model, encode)
        self._litert = litert
        self._engine: TextEngine = self.text_model if litert is None else LiteRtTextModel(self.text_model, litert)
        self._without_prompts: Any = None
        self._explaining_graphs: dict[str, Any] = {}

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
        encode = self.text_model.encode
        return Predictor(
            task, self.model, self.tokenizer, self.sequence_length, encode, self.reading, litert=self._litert
        )

    def with_engine(self, engine: TextEngine) -> Predictor:
        """Returns a predictor with the same task and files, whose answers another engine computes."""
        other = copy.copy(self)
        other._engine, other._without_prompts = engine, None
        return other

    @with_options(PredictOptions)
    def predict(self, *columns: Any, options: PredictOptions) -> list[dict[str, Any]]:
        """Returns the predictions for texts, in the order of the texts.

        Args:
            columns: A sequence for each input of the task (see `task.text_inputs`): texts; texts and their second
                texts; or questions and contexts. Single strings instead of sequences are one row. A table in memory (a
                data frame or a list of dictionaries) can be given instead; its columns have the names that the model
                was fine-tuned with. A tagger also accepts texts that are lists of words, and a model for relations
                texts with marked spans.
            options: All of these options in one object.

        Returns:
            A dict for each text, with the inputs ("text", "pair" …) and the answer of the task; for classification the
            answer is "label" and "probabilities".

        Raises:
            UsageError: The number of columns is not that of the task, a value is not a text, or `keep` is given without
                a table.
            DataError: A column of the table is missing, or a cell is not a text.
        """
        first = columns[0] if len(columns) == 1 else None
        table = as_table(first, "the table")
        if table is not None:
            return list(self.predict_file(table, options=options))
        if options.keep_columns:
            raise option_error(
                lambda spell: (
                    f"{spell('keep_columns')} is for data frames and lists of dictionaries. "
                    f"Received: {spell('keep_columns', options.keep_columns)}"
                )
            )
        examples = self._given_examples(first)
        if examples:
            return self._predictions(examples, options.batch_size)
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
        for part in self.predict_parts(input, options=options, **reading):
            yield from part

    @with_options(PredictOptions)
    def predict_parts(
        self,
        input: PathLike | Any,
        *,
        options: PredictOptions,
        skip: int = 0,
        stop: int | None = None,
        **reading: Any,
    ) -> Iterator[list[dict[str, Any]]]:
        """Yields the predictions of `predict_file` in parts of 4,096 rows, which are read and predicted together.

        Args:
            input: See `predict_file`, which has the same errors.
            options: All of these options in one object.
            skip: The number of rows to skip, a multiple of 4,096. The predictions of the other rows are the same to the
                bit, since the rows of each part form the same batches.
            stop: The number of rows after which the predictions end, a multiple of 4,096; None predicts all rows.
            reading: The columns and the options that describe the file; see `predict_file`.
        """
        batch_size, keep = options.batch_size, options.keep_columns
        path = as_table(input, "the table") or input
        lines = self._files.text_lines(path, reading)
        if lines is not None:
            check_no_columns(input, keep)
            name = self.task.text_inputs[0].name
            for texts in parts_of_rows(lines, ROWS_AT_ONCE, skip, stop):
                yield self._predict({name: texts}, batch_size)
            return
        examples = self._files.examples(path, reading)
        kept = KeptColumns(path, keep, TableFormat.from_options(self._files.reading(reading).options))
        for part in parts_of_rows(examples, ROWS_AT_ONCE, skip, stop):
            if keep and not part[0].line:
                check_no_columns(input, keep)
            yield [
                with_kept_columns(kept.at(example.line), prediction)
                for example, prediction in zip(part, self._predictions(part, batch_size), strict=True)
            ]

    def count_rows(self, input: PathLike | Any, **reading: Any) -> int:
        """Returns the number of rows of a file, each of which `predict_file` predicts once.

        Args:
            input: See `predict_file`, which has the same errors.
            reading: The columns and the options that describe the file; see `predict_file`.
        """
        path = as_table(input, "the table") or input
        lines = self._files.text_lines(path, reading)
        return sum(1 for _ in (self._files.examples(path, reading) if lines is None else lines))

    def _predictions(self, examples: Sequence[Any], batch_size: int) -> list[dict[str, Any]]:
        predictions = self._predict(self.task.texts_of(examples), batch_size)
        return [
            {**prediction, **self.task.extra_answers(example, prediction)}
            for example, prediction in zip(examples, predictions, strict=True)
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

        Raises:
            UsageError: The number of columns is not that of the task, or a value is not a text.
        """
        return self._answers(self._inputs(columns), batch_size)

    def _answers(self, inputs: Mapping[str, list[Any]], batch_size: int) -> dict[str, np.ndarray]:
        return answers_in_batches(self._engine.from_text, inputs, batch_size, self._kinds)

    def read_inputs(self, path: PathLike | Any, **reading: Any) -> list[list[Any]]:
        """Reads a file, and returns its texts as arguments for `predict`.

        Args:
            path: A table, a file with one text per line, a file in a format of the task, or a table in memory.
            reading: The columns and the options that describe the file; see `predict_file`.

        Raises:
            DataError: The file is unreadable or empty.
        """
        path = as_table(path, "the table") or path
        lines = self._files.text_lines(path, reading)
        if lines is not None:
            return [list(lines)]
        return list(self.task.texts_of(list(self._files.examples(path, reading))).values())

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
        task, bad = self._trainable(), BadRows(options.skip_bad)
        found, path = self._files.labelled(data, reading, bad)
        metrics = evaluation_metrics(self, task, found, path, options, bad)
        return metrics | ({"skipped": bad.count} if options.skip_bad else {})

    def labelled_examples(self, data: PathLike | Any, *, skip_bad: int = 0, **reading: Any) -> tuple[list[Any], int]:
        """Reads the labelled examples of a file, and checks their labels.

        Args:
            data: See `evaluate`, which has the same errors.
            skip_bad: The number of invalid rows that may be skipped.
            reading: The columns and the options that describe the file; see `evaluate`.

        Returns:
            The examples, and the number of rows that were skipped.
        """
        bad = BadRows(skip_bad)
        found, path = self._files.labelled(data, reading, bad)
        return self._trainable().keep_valid(found, path, bad), bad.count

    @with_options(ExplainOptions)
    def explain(self, *columns: Any, options: ExplainOptions) -> list[dict[str, Any]]:
        """Returns which words the answers for texts are due to.

        The scores are parts of a number of the model, such as the log odds of a label (docs/trust.md lists those of all
        tasks). Words with positive scores raise it. The scores of integrated gradients add up to the change of this
        number if all words are replaced by padding.

        Args:
            columns: The inputs; see `predict`. A model for embedding needs a second text for each, to compare vectors.
            options: All of these options in one object.

        Returns:
            A dict for each text: the inputs, such as "text"; what is explained; "words", with "word", its character
            offsets "start" and "end", its "score", and for pairs the name of its "input"; and "completeness_gap", the
            difference of the sum of the scores from the change of the number, as a part of this change.

            What is explained is "label", for tags and masks with the "start" and "end" of their span; "answer" with
            "start" and "end"; "generated"; the index of a "sentence"; or for tasks without labels the number "value",
            and "choice", the best of several candidates or choices.

        Raises:
            UsageError: The answers of the task cannot be explained, or the model has no such label, span or sentence.

        Example:
            >>> model = kbert.load("RUN")
            >>> [word["word"] for word in model.explain(["the cat"])[0]["words"]]
            ['the', 'cat']
        """
        from kbert.prediction.explanation.explainer import Explainer

        explainer = Explainer(self.text_model, options, self._explaining_graphs)
        examples = self._given_examples(columns[0]) if len(columns) == 1 and as_table(columns[0], "") is None else None
        inputs = self.task.texts_of(examples) if examples else self._inputs(columns, explainer.inputs)
        return explainer.explain(inputs)

    def answers_for_examples(self, examples: Sequence[Any], *, batch_size: int = 64) -> dict[str, np.ndarray]:
        """Returns the answers to labelled examples as the served model returns them, for `task.evaluate`.

        Raises:
            UsageError: The task has no metrics.
        """
        if self._without_prompts is None:
            self._without_prompts = self._engine.without_prompts()
        inputs = self._trainable().evaluation_texts(examples)
        return answers_in_batches(self._without_prompts, inputs, batch_size, self._kinds)

    @property
    def _kinds(self) -> dict[str, TextInput]:
        return {text.name: text for text in self.task.evaluation_inputs}

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

    def _given_examples(self, first: Any) -> list[Any] | None:
        """Returns the examples of a column of lists of words, or of texts with marked spans; None for other texts."""
        if isinstance(first, Sequence) and (words := self.task.examples_of_words(first)):
            return words
        return None if first is None else self.task.examples_of_texts([first] if isinstance(first, str) else first)

    def _inputs(self, columns: Sequence[Any], inputs: Sequence[TextInput] | None = None) -> dict[str, list[Any]]:
        columns = [column for column in columns if column is not None]
        if len(columns) == 1 and (table := as_table(columns[0], "the table")) is not None:
            columns = self.read_inputs(table)
        return texts_by_input(self.task, columns, inputs)

"""Question answering: the part of a context that answers a question."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.errors import DataError, UsageError
from kbert.files import PathLike
from kbert.layers.heads import MASKED_LOGIT
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.question_answering import QuestionAnsweringModel
from kbert.sources.bad_rows import BadRows
from kbert.tasks.answers.context_answers import answer_scores, best_texts, served_context_answers, tuned_threshold
from kbert.tasks.answers.context_spans import answer_positions
from kbert.tasks.explained.answers import explained_answer_part
from kbert.tasks.metrics import question_answering as metrics
from kbert.tasks.options import QuestionAnsweringOptions, TaskOptions
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.protocol.explaining import SPAN, ExplainedPart, PartsExplainingTask
from kbert.tasks.protocol.objective import Tensors
from kbert.tasks.protocol.saved_settings import Kind, count, count_or_none, flag, number
from kbert.tasks.protocol.soft_outputs import PLACES, SoftOutput
from kbert.tasks.protocol.trainable import TrainableTask
from kbert.tasks.protocol.training_rows import TokenRows, TrainingRows, strings
from kbert.tasks.readers.question_answering import Question, check_placed, read_questions
from kbert.tasks.rows.question_rows import answer_lengths, cut_questions
from kbert.tasks.text_task import same_text
from kbert.text.graph.encoder import GraphEncoder

_AT_ONCE = 128
_LONGEST_QUESTION = 64
_LONGEST_ANSWER = 30
"""The default longest answer in tokens, as in the original BERT's code for SQuAD."""
_LONGEST_ADAPTED = 256
_ANSWERS_COVERED = 99
"""The percentage of the training answers that the default longest answer covers."""


class QuestionAnsweringTask(PartsExplainingTask, TrainableTask[Question]):
    """A task that finds the answer to a question in a context.

    A long context is split into overlapping windows, each with the question before it. The answers are the best spans
    of all windows (arXiv 1810.04805, sections 4.2 and 4.3). The score of "no answer" is that of [CLS], the lowest of
    all windows.

    Args:
        impossible: Whether a context may have no answer, as in SQuAD 2.0.
        null_threshold: No answer is given if the score of "no answer" exceeds that of the best answer by more than
            this number.
        stride: The number of tokens that neighbouring windows share; None is a third of the model's input.
        max_answer_length: The length of the longest answer in tokens. With None it is 30, or the length that
            `for_training_examples` derives from the training data.
        n_best: The number of answers that are given for a question.
        by_characters: Whether answers are measured by characters, not by words.

    Raises:
        UsageError: An argument is too small.
    """

    name: ClassVar[str] = "question-answering"
    architecture = "BertForQuestionAnswering"
    main_metric = "f1"
    losses = ("span_loss",)
    explained_as = "sum of the logits of the start and of the end of the answer"
    pooled: ClassVar[bool] = False
    windowed: ClassVar[bool] = True
    pair_truncation = "only_second"
    examples_noun: ClassVar[str] = "questions"
    saved_fields: ClassVar[Mapping[str, Kind]] = {
        "impossible": flag,
        "null_threshold": number,
        "stride": count_or_none,
        "max_answer_length": count,
        "n_best": count,
        "by_characters": flag,
    }

    def __init__(
        self,
        *,
        impossible: bool = False,
        null_threshold: float = 0.0,
        stride: int | None = None,
        max_answer_length: int | None = None,
        n_best: int = 5,
        by_characters: bool = False,
    ) -> None:
        for name, value, least in (
            ("max_answer_length", max_answer_length, 1),
            ("n_best", n_best, 1),
            ("stride", stride, 0),
        ):
            if value is not None and value < least:
                raise UsageError(f"{name} must be at least {least}. Received: {name}={value}")
        self.impossible = impossible
        self.null_threshold = null_threshold
        self.stride = stride
        self._follows_data = max_answer_length is None
        self._characters_follow_data = False
        self.max_answer_length = _LONGEST_ANSWER if max_answer_length is None else max_answer_length
        self.n_best = n_best
        self.by_characters = by_characters

    # === Reading ===

    @classmethod
    def parse_file(
        cls,
        path: PathLike,
        columns: Mapping[str, str],
        options: QuestionAnsweringOptions,
        *,
        targets: bool,
        bad: BadRows,
    ) -> Iterator[Question]:
        """Yields the questions of a SQuAD file, JSON lines or a table."""
        return read_questions(path, columns, form=options.table_format, targets=targets, bad=bad)

    @classmethod
    def from_examples(
        cls, examples: Sequence[Question], path: PathLike, options: Mapping[str, Any] | TaskOptions | None = None
    ) -> QuestionAnsweringTask:
        """Makes the task. The examples determine whether answers may be missing, and how answers are measured."""
        chosen: QuestionAnsweringOptions = cls.info().choose_options(options)
        answers = [answer.text for example in examples for answer in example.answers or ()]
        if not answers:
            raise DataError("expected questions with answers. There are none", path)
        by_characters = chosen.by_characters
        task = cls(
            impossible=any(not example.answers for example in examples),
            stride=chosen.stride,
            max_answer_length=chosen.max_answer_length,
            n_best=chosen.n_best,
            by_characters=metrics.is_by_characters(answers) if by_characters == "auto" else by_characters == "yes",
        )
        task._characters_follow_data = by_characters == "auto"
        return task

    @classmethod
    def from_foreign(cls, bundle: Bundle, *, paired: bool) -> QuestionAnsweringTask | None:
        """Returns the task of a Transformers model for question answering; None for other models.

        The task always gives an answer, since the files of the model do not say whether answers may be missing.
        """
        return cls() if bundle.architecture == cls.architecture else None

    def check_learnable(self, example: Question) -> None:
        """Raises ValueError if no answer is found in the context."""
        check_placed(example)

    def group(self, example: Question) -> str:
        """Returns the context, so that the questions on it are not split between training and validation."""
        return same_text(example.context)

    def same_texts(self, example: Question) -> tuple[str, str]:
        """Returns the question and the context."""
        return same_text(example.question), same_text(example.context)

    def extra_answers(self, example: Question, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"id"} if the file has an id for the question."""
        return {"id": example.id} if example.id else {}

    # === Texts to features ===

    @property
    def text_inputs(self) -> tuple[TextInput, ...]:
        """The inputs `question` and `context`."""
        return TextInput("question", "question"), TextInput("context", "context")

    def texts_of(self, examples: Sequence[Question]) -> dict[str, list[Any]]:
        """Returns the questions and the contexts."""
        return {
            "question": [example.question for example in examples],
            "context": [example.context for example in examples],
        }

    def encode(self, encode: GraphEncoder, inputs: Tensors) -> dict[str, tf.Tensor]:
        """Returns windows over the contexts. A question is cut to 64 tokens, or to a third of the input if smaller."""
        third = (encode.sequence_length - 3) // 3
        stride, room = self._stride(encode.sequence_length)
        questions = cut_questions(encode, inputs["question"], min(_LONGEST_QUESTION, max(third, 1), room))
        windows = encode.windows(questions, inputs["context"], stride=stride, truncation="only_second")
        return {
            **windows.features,
            "context": inputs["context"],
            "window_rows": windows.rows,
            "token_starts": windows.starts,
            "token_ends": windows.ends,
            "in_context": windows.slides,
        }

    def _stride(self, sequence_length: int) -> tuple[int, int]:
        """Returns the stride, and the largest number of tokens that it leaves for a question."""
        stride = (sequence_length - 3) // 3 if self.stride is None else self.stride
        room = sequence_length - 3 - stride - 1
        if room < 1:
            raise UsageError(
                f"stride must leave room for questions: less than sequence_length - 4 = {sequence_length - 4}. "
                f"Received: stride={stride}"
            )
        return stride, room

    def for_private_training(self, validation: Sequence[Question]) -> QuestionAnsweringTask:
        """Returns the task with the default longest answer, and else with settings of the validation questions."""
        task = copy.copy(self)
        task._follows_data = False
        task.impossible = any(not example.answers for example in validation)
        if self._characters_follow_data:
            task.by_characters = metrics.is_by_characters(
                [answer.text for example in validation for answer in example.answers or ()]
            )
        return task

    def for_training_examples(self, examples: Sequence[Question], encode: GraphEncoder) -> QuestionAnsweringTask:
        """Returns the task with a longest answer that covers 99 % of the training answers, within 30 to 256 tokens.

        A longest answer that the user gave is kept.
        """
        lengths = answer_lengths(examples, encode)
        if not self._follows_data or not len(lengths):
            return self
        covering = int(np.percentile(lengths, _ANSWERS_COVERED, method="higher"))
        longest = min(max(_LONGEST_ANSWER, covering), _LONGEST_ADAPTED, encode.sequence_length)
        task = copy.copy(self)
        task.max_answer_length = longest
        return task

    def trivial_metrics(
        self, train: Sequence[Question], validation: Sequence[Question]
    ) -> tuple[str, dict[str, Any]] | None:
        """Returns the metrics of a model that never gives an answer; None if all questions have answers."""
        share = float(np.mean([not example.answers for example in validation]))
        return ("never answers", {"f1": share, "exact_match": share}) if share else None

    def training_rows(self, examples: Sequence[Question], encode: GraphEncoder) -> TrainingRows:
        """Returns one row for each window, and the targets `start_positions` and `end_positions`, int32 [items].

        Both are 0, the position of [CLS], if the window does not hold the answer.
        """
        self._stride(encode.sequence_length)  # raises here, since TensorFlow wraps errors that are raised in a graph
        graph = tf.function(
            lambda q, c: self.encode(encode, {"question": q, "context": c}), reduce_retracing=True, autograph=False
        )
        tokens, starts, ends = TokenRows(), [], []
        unseen = 0
        for begin in range(0, len(examples), _AT_ONCE):
            part = examples[begin : begin + _AT_ONCE]
            inputs = self.texts_of(part)
            encoded = {
                name: value.numpy()
                for name, value in graph(strings(inputs["question"]), strings(inputs["context"])).items()
            }
            tokens.add(encoded)
            start, end = answer_positions(
                [example.answers[0] if example.answers else None for example in part], encoded
            )
            found = set(encoded["window_rows"][end > 0].tolist())
            unseen += sum(bool(example.answers) and row not in found for row, example in enumerate(part))
            starts.append(start)
            ends.append(end)
        return TrainingRows(
            *tokens.tokens(),
            {"start_positions": np.concatenate(starts), "end_positions": np.concatenate(ends)},
            notes=self._notes(examples, unseen, encode),
        )

    def _notes(self, examples: Sequence[Question], unseen: int, encode: GraphEncoder) -> tuple[str, ...]:
        lengths = answer_lengths(examples, encode)
        notes = []
        if long := int((lengths > self.max_answer_length).sum()):
            notes.append(
                f"{long:,} of {len(lengths):,} answers are longer than {self.max_answer_length} tokens and are never "
                "given as an answer; --max-answer-length allows longer ones"
            )
        if unseen:
            notes.append(
                f"{unseen:,} of {len(lengths):,} answers cannot be learnt, since no window of the context holds a "
                "whole answer; a larger --sequence-length or --stride makes such windows"
            )
        return tuple(notes)

    # === Model ===

    def build(self, encoder: BertEncoder) -> QuestionAnsweringModel:
        """Makes the encoder with a start and an end logit for each token."""
        return QuestionAnsweringModel(encoder)

    def loss_sums(self, outputs: Any, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns sums over windows. The loss of a window is the mean of the losses of start and end."""
        padding = (1.0 - tf.cast(batch[features.INPUT_MASK.name], tf.float32)) * MASKED_LOGIT
        loss, right = 0.0, tf.constant(True)
        for side in ("start", "end"):
            logits, positions = outputs[f"{side}_logits"] + padding, batch[f"{side}_positions"]
            loss += tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(positions, logits)) / 2
            right &= tf.argmax(logits, -1, tf.int32) == positions
        return {"span_loss": loss, "span_accuracy": tf.reduce_sum(tf.cast(right, tf.float32))}

    def loss_weights(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """Returns the number of windows."""
        windows = tf.cast(tf.size(batch["start_positions"]), tf.float32)
        return {"span_loss": windows, "span_accuracy": windows}

    @property
    def soft_outputs(self) -> Mapping[str, SoftOutput]:
        """See `TrainableTask.soft_outputs`."""
        return {f"{side}_logits": SoftOutput(PLACES) for side in ("start", "end")}

    # === Answers ===

    def served_answers(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns the answer to each question, and the N best answers.

        The answer: `answer`, string [B], "" for no answer; `start` and `end`, its character offsets in the context,
        int32 [B]; `score`, its probability among the N best and "no answer", float32 [B].

        The N best, likeliest first: `count`, int32 [B]; `answers`, string [B, N]; `starts` and `ends`, int32 [B, N];
        `scores`, float32 [B, N]; `logits`, the sums of start and end logits, float32 [B, N]. `null_logit`, float32 [B],
        is the logit of "no answer".
        """
        return served_context_answers(
            outputs,
            encoded,
            longest=self.max_answer_length,
            most=self.n_best,
            null_threshold=self.null_threshold if self.impossible else None,
        )

    def token_outputs(self, outputs: Tensors, encoded: Tensors) -> dict[str, tf.Tensor]:
        """Returns `start_logits` and `end_logits`, float32 [B, S] each."""
        return {"start_logits": outputs["start_logits"], "end_logits": outputs["end_logits"]}

    # === Explanations ===

    @property
    def caller_choices(self) -> Sequence[str]:
        """A span of the context."""
        return (SPAN,)

    def explained_part(
        self, encode: GraphEncoder, encoded: Tensors, outputs: Tensors, chosen: Tensors
    ) -> ExplainedPart:
        """Returns the answer that the model gives, or the given span of the context."""
        return explained_answer_part(
            self.served_answers(outputs, encoded),
            outputs,
            encoded,
            chosen[SPAN],
            [feature.name for feature in self.model_features],
        )

    def explained_number(self, outputs: Tensors, target: tf.Tensor) -> tf.Tensor:
        """Returns the logit of the start of the answer plus that of its end."""
        first, last = target[:, 0], target[:, 1]
        starts, ends = outputs["start_logits"], outputs["end_logits"]
        return tf.gather(starts, first, batch_dims=1) + tf.gather(ends, last, batch_dims=1)

    # === Answers for people ===

    def readable_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Returns {"answer", "start", "end", "score", "answers": [{"answer", "start", "end", "score"}]}."""
        return {
            "answer": row["answer"].decode("utf-8"),
            "start": int(row["start"]),
            "end": int(row["end"]),
            "score": float(row["score"]),
            "answers": [
                {
                    "answer": row["answers"][place].decode("utf-8"),
                    "start": int(row["starts"][place]),
                    "end": int(row["ends"][place]),
                    "score": float(row["scores"][place]),
                }
                for place in range(row["count"])
            ],
        }

    def text_line(self, prediction: Mapping[str, Any]) -> str:
        """Formats the answer, its score and the question."""
        answer = " ".join(prediction["answer"].split()) or "-"
        return f"{answer}\t{prediction['score']:.4f}\t{prediction['question']}"

    def with_tuned_thresholds(
        self, examples: Sequence[Question], answers: Mapping[str, np.ndarray]
    ) -> QuestionAnsweringTask:
        """Returns the task with the threshold of "no answer" that gives the highest F1."""
        if not self.impossible:
            return self
        threshold = tuned_threshold(examples, answers, by_characters=self.by_characters)
        task = copy.copy(self)
        task.null_threshold = threshold
        return task

    def evaluate(self, examples: Sequence[Question], answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Returns exact match and F1.

        If some questions have no answer, they are also given for the questions with and without an answer.
        """
        texts, differences = best_texts(answers)
        if self.impossible:
            pairs = zip(texts, differences, strict=True)
            texts = [text if difference <= self.null_threshold else "" for text, difference in pairs]
        return answer_scores(examples, texts, by_characters=self.by_characters)

    @property
    def sample_arguments(self) -> str:
        """Arguments of `kbert predict`, as an example in a model card."""
        return "'A question?' --pair 'A context that holds its answer.'"

"""A model as a function of the code points of one text, so that an app needs no tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.errors import UsageError
from kbert.export.phone.code_points.encoder import CODE_POINTS, CODE_POINTS_PAIR, ENDS, STARTS, CodePointEncoder
from kbert.export.phone.code_points.tokenizer import CodePointTokenizer
from kbert.export.phone.row_model import MASKS, RAW_PREFIX, RowModel
from kbert.tasks.protocol.answering import AnsweringTask
from kbert.text.settings import BERT
from kbert.text.tokenizer import Tokenizer

CODE_POINTS_PER_TOKEN = 6
"""Long enough texts for the tokens of an input: English has five characters per token on average, with spaces."""


class CodePointModel:
    """A model from the code points of a text or pair to its answers, as a graph for LiteRT.

    A long text loses its end, since the model reads one row. `ends` tells how far the row reaches, so an app can read
    the rest in further windows (apps/android does).

    Args:
        row_model: The model from the features of one row to its answers.
        tokenizer: The tokenizer of the model.
        text_length: The number of code points of a text, N.
        token_wise: Whether the answers have a value for each token. If so, `starts` and `ends` are further outputs.
    """

    def __init__(self, row_model: RowModel, tokenizer: Tokenizer, text_length: int, *, token_wise: bool) -> None:
        self._row_model = row_model
        self._encode = code_point_encoder(row_model.task, tokenizer, row_model.sequence_length)
        self._mask_id = tokenizer.vocabulary.mask_id
        self._text_length = text_length
        self._token_wise = token_wise
        self._prompts = prompts_of(row_model.task)

    @property
    def signature(self) -> list[tf.TensorSpec]:
        """The inputs: `code_points`, and for pairs `code_points_pair`, int32 [1, N] each."""
        names = (CODE_POINTS, CODE_POINTS_PAIR)[: len(self._prompts)]
        return [tf.TensorSpec([1, self._text_length], tf.int32, name) for name in names]

    def __call__(self, *texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the answers to a text or pair.

        Args:
            texts: The tensors of `signature`, padded with 0.

        Returns:
            The outputs of `RowModel`, and the features with RAW_PREFIX before their names. For a model with a value for
            each token also `starts` and `ends`, int32 [1, S]: each token comes from the code points [start, end) of its
            text; both are 0 for special tokens and padding. For a model for masked words also `masked_lm_positions`,
            int32 [1, MASKS], 0 in unused places.
        """
        prompted = [
            tf.concat([prompt, text], 1) if prompt.size else text
            for prompt, text in zip(self._prompts, texts, strict=True)
        ]
        batch = self._encode(*prompted)
        extra = {name: batch[name] for name in (STARTS, ENDS)} if self._token_wise else {}
        wanted = [feature.name for feature in self._row_model.task.model_features]
        positions = features.MASKED_LM_POSITIONS.name
        if positions in wanted:
            batch[positions] = extra[positions] = self._mask_positions(batch[features.INPUT_WORD_IDS.name])
        features_read = {f"{RAW_PREFIX}{name}": batch[name] for name in wanted}
        return {**self._row_model(*(batch[name] for name in wanted)), **extra, **features_read}

    def _mask_positions(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the positions of the first masks in ascending order, int32 [1, MASKS]."""
        length = self._row_model.sequence_length
        ahead = tf.where(tf.equal(ids, self._mask_id), length - np.arange(length, dtype=np.int32), 0)
        found = tf.math.top_k(ahead, MASKS).values
        return tf.where(tf.equal(found, 0), 0, length - found)


def code_point_encoder(task: AnsweringTask[Any], tokenizer: Tokenizer, sequence_length: int) -> CodePointEncoder:
    """Returns the encoder of code points that truncates the texts of a task as the task does.

    Args:
        task: The task.
        tokenizer: The tokenizer of the model.
        sequence_length: The number of tokens of a row.

    Raises:
        UsageError: The tokenizer normalizes text as MediaPipe does.
    """
    if tokenizer.settings.normalization != BERT:
        raise UsageError(
            "expected a model with the tokenizer of BERT, since the input codepoints has that. Received: a model with "
            "MediaPipe's tokenizer; export with --input tokens"
        )
    return CodePointEncoder(
        CodePointTokenizer(tokenizer),
        sequence_length,
        truncation=task.pair_truncation,
        keep_end=task.keeps_end,
    )


def prompts_of(task: AnsweringTask[Any]) -> list[np.ndarray]:
    """Returns the code points of the prompt that a task puts before each of its texts, int32 [1, P].

    Raises:
        UsageError: The task has more than two texts.
    """
    names = [text.name for text in task.text_inputs]
    if len(names) > 2:
        raise UsageError(f"expected a task of one or two texts. Received: {task.name}")
    prompted = task.add_prompts({name: tf.constant([""]) for name in names})
    return [code_points([prompted[name].numpy()[0].decode()]) for name in names]


def code_points(texts: Sequence[str], length: int | None = None) -> np.ndarray:
    """Returns the code points of texts, padded with 0 or truncated to a length, int32 [B, length].

    Args:
        texts: The texts.
        length: The number of code points; the default is that of the longest text.

    Example:
        >>> code_points(["a b"], 4).tolist()
        [[97, 32, 98, 0]]
    """
    length = max(map(len, texts), default=0) if length is None else length
    rows = np.zeros((len(texts), length), np.int32)
    for row, text in zip(rows, texts, strict=True):
        values = [ord(character) for character in text[:length]]
        row[: len(values)] = values
    return rows

"""Checks of LiteRT models before they are written: they must answer as the model that they were made from."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from kbert import features
from kbert.errors import ParityError
from kbert.export.parity import check_litert_parity, sample_inputs, sample_texts
from kbert.export.phone.code_point_model import code_points
from kbert.export.phone.code_points.encoder import CODE_POINTS, CODE_POINTS_PAIR
from kbert.export.phone.file_text_model import FileTextModel
from kbert.export.phone.row_model import MASKS, RAW_PREFIX
from kbert.inference.litert_model import interpreter
from kbert.prediction.predictor import Predictor
from kbert.text.graph.encoder import GraphEncoder

_THREADS = os.cpu_count() or 1
_IDS, _MASK = features.INPUT_WORD_IDS.name, features.INPUT_MASK.name
_POSITIONS = features.MASKED_LM_POSITIONS.name


def check_rows(content: bytes, loaded: Predictor, length: int, quantize: str) -> None:
    """Compares the answers and the raw outputs of a LiteRT model that takes tokens with those of the model.

    Args:
        content: The LiteRT model of a `RowModel`.
        loaded: The model.
        length: The number of tokens of a row.
        quantize: The dtype of the weights; see `ExportLitertOptions`.

    Raises:
        ParityError: They differ by more than the dtype explains.
    """
    task = loaded.task
    inputs = sample_inputs(task.text_inputs, loaded.tokenizer.vocabulary, longest=length)
    encoded = task.encode(GraphEncoder(loaded.text_model.encode.tokenizer, length), inputs)
    batch = {feature.name: encoded[feature.name].numpy() for feature in task.model_features}
    if _POSITIONS in batch:
        # Texts of any words have no masks; the first tokens are as good a sample.
        batch[_POSITIONS] = np.minimum(np.arange(MASKS), batch[_MASK].sum(-1, keepdims=True) - 1).astype(np.int32)
    ids, mask = batch[_IDS], batch[_MASK]
    outputs = loaded.model({name: tf.constant(value) for name, value in batch.items()}, training=False)
    answers = {} if ids.ndim == 3 else task.token_outputs(outputs, batch)
    expected = {
        **{name: np.asarray(value) for name, value in answers.items()},
        **{f"{RAW_PREFIX}{name}": np.asarray(value) for name, value in outputs.items()},
    }
    received = FileTextModel(loaded.text_model, content, length, _THREADS).raw_outputs(batch)
    for name, values in list(expected.items()):
        given = received[name]
        if ids.ndim == 3:
            # Unused places for choices have no tokens, and no meaningful logits.
            used = mask.any(-1)
            expected[name], received[name] = values * used, given.reshape(values.shape) * used
        elif given.ndim > 1 and given.shape[1] == length and values.shape[1] == ids.shape[1]:
            received[name] = given[:, : ids.shape[1]]
    check_litert_parity(expected, received, mask, quantize=quantize, what=f"the LiteRT model ({quantize})")


def check_code_points(
    content: bytes, token_content: bytes, loaded: Predictor, length: int, text_length: int, quantize: str
) -> None:
    """Compares a LiteRT model that takes code points with the tokenizer, and with the one that takes tokens.

    Args:
        content: The LiteRT model of a `CodePointModel`.
        token_content: That of the `RowModel`.
        loaded: The model.
        length: The number of tokens of a row.
        text_length: The number of code points of a text.
        quantize: The dtype of the weights; see `ExportLitertOptions`.

    Raises:
        ParityError: A token differs, or an answer differs by more than the dtype explains.
    """
    runner = interpreter(content, _THREADS).get_signature_runner()
    token_runner = interpreter(token_content, _THREADS).get_signature_runner()
    names = [name for name in (CODE_POINTS, CODE_POINTS_PAIR) if name in runner.get_input_details()]
    texts = [text[:text_length] for text in sample_texts(loaded.tokenizer.vocabulary, longest=length)]
    columns = [texts, texts[::-1]][: len(names)]
    if loaded.task.pair_truncation == "only_second":
        # The first text leaves room for the second.
        columns[0] = [" ".join(text.split()[: length // 8]) for text in texts]
    rows = _token_features(loaded, columns, length)
    points = [code_points(column, text_length) for column in columns]
    for index in range(len(texts)):
        row = {name: value[index : index + 1] for name, value in rows.items()}
        answers = runner(**{name: value[index : index + 1] for name, value in zip(names, points, strict=True)})
        for name, value in row.items():
            if not np.array_equal(answers[f"{RAW_PREFIX}{name}"], value):
                raise ParityError(
                    f"the tokenizer of the LiteRT model: {name} must be that of the tokenizer for the text "
                    f"{texts[index]!r:.80}. Received: another; nothing was written"
                )
        expected = token_runner(**row)
        received = {name: answers[name] for name in expected}
        mask = row[_MASK]
        check_litert_parity(expected, received, mask, quantize=quantize, what="the LiteRT model that takes code points")


def _token_features(loaded: Predictor, columns: list[list[str]], length: int) -> Mapping[str, np.ndarray]:
    """Returns the features of texts or pairs, one row each, as the tokenizer of the model gives them."""
    task = loaded.task
    named = {text.name: tf.constant(column) for text, column in zip(task.text_inputs, columns, strict=True)}
    prompted = list(task.add_prompts(named).values())
    encode = GraphEncoder(loaded.text_model.encode.tokenizer, length, truncation=task.pair_truncation)
    if len(columns) > 1:
        batch = encode.features(*encode.ragged(*prompted, keep_end=task.keeps_end))
    else:
        batch = encode(*prompted)
    rows = {name: np.pad(value.numpy(), ((0, 0), (0, length - value.shape[1]))) for name, value in batch.items()}
    rows[_IDS] = np.where(rows[_MASK] == 1, rows[_IDS], loaded.tokenizer.vocabulary.pad_id).astype(np.int32)
    if features.MASKED_LM_POSITIONS in task.model_features:
        is_mask = rows[_IDS] == loaded.tokenizer.vocabulary.mask_id
        positions = np.zeros((len(is_mask), MASKS), np.int32)
        for found, row in zip(positions, is_mask, strict=True):
            places = np.flatnonzero(row)[:MASKS]
            found[: len(places)] = places
        rows[_POSITIONS] = positions
    return rows

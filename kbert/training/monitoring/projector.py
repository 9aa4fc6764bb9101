"""Token embeddings for TensorBoard's projector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from kbert import files
from kbert.text.vocabulary import Vocabulary

_CONFIG = "projector_config.pbtxt"
_TENSORS = "token_embeddings.bytes"
_TOKENS = "tokens.tsv"


def write_projector(folder: Path, table: np.ndarray, vocabulary: Vocabulary) -> None:
    """Writes a table of token embeddings in the format of TensorBoard's projector plugin.

    Args:
        folder: The folder of TensorBoard's files.
        table: The embeddings, float32 [V, H]. Rows beyond the vocabulary are left out.
        vocabulary: The vocabulary, which names the rows.
    """
    table = np.array(table[: len(vocabulary)], np.float32, order="C")
    # The plugin reads a file as text unless a line is invalid UTF-8. The byte 0xff is always invalid, so it is put into
    # the lowest bits of the first number.
    table.reshape(-1)[:1].view(np.uint32)[:] |= 0xFF
    with files.atomic_file(folder / _TENSORS) as handle:
        handle.write(table.tobytes())
    # The plugin expects no header in a file with one column.
    files.write_text(folder / _TOKENS, "".join(f"{token}\n" for token in vocabulary))
    lines = [
        "embeddings {",
        f"  tensor_name: {json.dumps('token embeddings')}",
        f"  tensor_shape: {len(table)}",
        f"  tensor_shape: {table.shape[1]}",
        f"  tensor_path: {json.dumps(_TENSORS)}",
        f"  metadata_path: {json.dumps(_TOKENS)}",
        "}",
    ]
    files.write_text(folder / _CONFIG, "\n".join(lines) + "\n")

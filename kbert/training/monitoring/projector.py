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
    """Writes a token table where TensorBoard's projector finds it, in the layout of its plugin.

    Args:
        folder: TensorBoard's.
        table: float32 [V, H]; rows behind the vocabulary are left out.
        vocabulary: Names the rows.
    """
    table = np.array(table[: len(vocabulary)], np.float32, order="C")
    # The plugin takes a file for text until a line is not UTF-8, and 0xff never is: the last bits of one number.
    table.reshape(-1)[:1].view(np.uint32)[:] |= 0xFF
    with files.atomic_file(folder / _TENSORS) as handle:
        handle.write(table.tobytes())
    # One column: the plugin takes no header then.
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

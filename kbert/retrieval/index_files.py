"""The files of an index of documents.

index.json      the model, the number of documents, the dtype, and how vectors are made and compared
vectors.npy     the vectors [documents, H], memory-mapped in a search; if cosines are compared, their length is 1
texts.jsonl     {"id": …, "text": …} on each line, in the order of the vectors
offsets.npy     the byte offset of each of these lines, int64
ann.faiss       with `ann`, an HNSW graph of faiss (arXiv 1603.09320)
"""

from __future__ import annotations

from typing import Any

from kbert.errors import UsageError

SETTINGS_FILE = "index.json"
VECTORS_FILE = "vectors.npy"
TEXTS_FILE = "texts.jsonl"
OFFSETS_FILE = "offsets.npy"
ANN_FILE = "ann.faiss"
COMPARED_AT_ONCE = 65_536
"""The number of vectors that are read together."""


def import_faiss() -> Any:
    """Imports faiss, which makes and searches the graph.

    Raises:
        UsageError: faiss is not installed.
    """
    try:
        import faiss
    except ImportError:
        raise UsageError("approximate search needs faiss: pip install 'kbert[ann]'") from None
    return faiss

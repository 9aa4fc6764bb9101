import pytest

from kbert.corpus.building.grouping import chunk_documents
from kbert.errors import DataError
from kbert.sources.document import Document


def document(name, size):
    return Document((name,), "text.txt", ord(name), size)


def chunks(sizes, size):
    found = chunk_documents((document(chr(97 + i), n) for i, n in enumerate(sizes)), size)
    return ["".join(d.lines[0] for d in chunk) for chunk in found]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([5, 5, 5, 5], ["ab", "cd"]),
        ([1, 1], ["ab"]),
        ([50, 1, 50, 1], ["ab", "cd"]),  # never a document alone
        ([5, 5, 5, 5, 4], ["ab", "cde"]),  # a single one left over joins the last chunk
        ([5, 5, 1, 1], ["abcd"]),  # and so does less than a quarter of a chunk
        ([5, 5, 3, 3], ["ab", "cd"]),
        ([5, 5, 50], ["abc"]),
        ([3, 3, 3, 3, 3, 3, 3, 3], ["abcd", "efgh"]),
    ],
)
def test_chunks(sizes, expected):
    assert chunks(sizes, 10) == expected


def test_one_document_is_refused():
    with pytest.raises(DataError, match=r"text\.txt:97: expected at least two documents.*a single document"):
        chunks([100], 10)


def test_no_document_is_refused():
    with pytest.raises(DataError, match=r"expected at least two documents. The input holds no text"):
        chunks([], 10)


def test_chunks_stream():
    """No more is read than the chunk after the one that is handed out."""
    seen = []

    def endless():
        for i in range(1_000_000):
            seen.append(i)
            yield document("x", 5)

    next(chunk_documents(endless(), 10))
    assert len(seen) == 4

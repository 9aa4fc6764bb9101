import pytest

from kbert.tasks.readers.lost_spans import LostSpans, lost_spans
from kbert.tasks.readers.tagging import Span, TaggedText


def tagged(text, *spans, line=1):
    return TaggedText(text, tuple(Span(*span) for span in spans), line)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("Ada left", (0, 3, "X")),
        ("Ada left ", (0, 9, "X")),  # white space at the edge does not count
        ("x-ray", (2, 5, "X")),
        ("北京市", (0, 2, "X")),
        ("cafe\u0301 x", (0, 4, "X")),  # the accent is dropped
    ],
)
def test_spans_that_can_be_learnt(text, span):
    assert lost_spans([tagged(text, span)]) is None


def test_spans_within_words_and_in_other_spans():
    examples = [
        tagged("Ada left", (0, 3, "X")),
        tagged("Adas left", (0, 3, "X"), (6, 9, "Y"), line=7),
        tagged("New York Times", (0, 14, "ORG"), (0, 8, "LOC"), line=9),
    ]
    found = lost_spans(examples)
    assert found == LostSpans(5, 2, 1, 7, False)
    assert found.message("a.jsonl") == (
        "3 of 5 spans cannot be learnt (first: a.jsonl:7): 2 begin or end within a word and 1 overlap a longer span"
    )


def test_offsets_of_utf_16():
    found = lost_spans([tagged("🎉 Ada left", (3, 6, "PER"))])
    assert found == LostSpans(1, 1, 0, 1, True)
    assert found.message("a.jsonl").endswith("; the offsets look like units of UTF-16: --offsets utf-16 reads them")

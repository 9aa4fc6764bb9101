"""Tests of the labels that words of the tokenizer have in training."""

import numpy as np
import pytest

from kbert.tasks.readers.tagged_texts import Span, TaggedText
from kbert.tasks.rows.word_labels import labels_of_spans

# "Ada Lovelace met Bo ." has a span of two words, and one of a single word.
TEXT = TaggedText("Ada Lovelace met Bo .", (Span(0, 12, "PER"), Span(17, 19, "PER")))
STARTS = np.array([0, 4, 13, 17, 20])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["O", "B-PER", "I-PER"], [1, 2, 0, 1, 0]),
        (["I-PER", "B-PER", "E-PER", "S-PER", "O"], [1, 2, 4, 3, 4]),
        # Models of other packages: BILOU, IOB1 without a B tag of this type, IO with bare types, and no I tag.
        (["O", "B-PER", "I-PER", "L-PER", "U-PER"], [1, 3, 0, 4, 0]),
        (["B-LOC", "I-LOC", "I-PER", "O"], [2, 2, 3, 2, 3]),
        (["O", "PER"], [1, 1, 0, 1, 0]),
        (["O", "B-PER", "B-LOC", "I-LOC"], [1, 1, 0, 1, 0]),
    ],
)
def test_words_of_spans_have_the_tags_that_the_model_has(names, expected):
    labels = labels_of_spans(names, [TEXT], np.zeros(5, int), STARTS)
    assert labels.tolist() == expected

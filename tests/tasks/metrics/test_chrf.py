import pytest

from kbert.tasks.metrics.chrf import chrf, sentence_chrf


@pytest.mark.parametrize(
    ("references", "text", "expected"),
    [
        (["ab"], "ab", 100.0),
        (["a b"], " ab ", 100.0),  # white space does not count
        (["abd"], "abc", 100 * (2 / 3 + 1 / 2 + 0) / 3),
        (["xyz", "ab"], "ab", 100.0),  # the best reference
        (["AB"], "ab", 0.0),
        (["ab"], "", 0.0),
        # Precision 1/1, recall 1/2 of single characters; no pairs of characters in the text.
        (["ab"], "a", 100 * 5 * 1 * 0.5 / (4 * 1 + 0.5)),
    ],
)
def test_one_text(references, text, expected):
    assert sentence_chrf(references, text) == pytest.approx(expected)
    assert chrf([references], [text]) == pytest.approx(expected)


def test_counts_of_a_corpus_are_added():
    # Characters: 3 of 4 and 4. Pairs: 1 of 2 and 2.
    assert chrf([["ab"], ["cd"]], ["ab", "cx"]) == pytest.approx(100 * (3 / 4 + 1 / 2) / 2)
    assert chrf([["AB"]], ["ab"], lowercase=True) == pytest.approx(100.0)

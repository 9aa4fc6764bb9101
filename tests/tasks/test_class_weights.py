import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from kbert.errors import UsageError
from kbert.tasks.class_weights import balanced_weights, parse_class_weights


def test_named_weights():
    assert parse_class_weights("spam=5, ham=0.5", ["ham", "spam", "eggs"]) == {"ham": 0.5, "spam": 5.0, "eggs": 1.0}
    assert parse_class_weights("a=b=2", ["a=b", "c"]) == {"a=b": 2.0, "c": 1.0}
    assert parse_class_weights('{"a, b": 2}', ["a, b", "c"]) == {"a, b": 2.0, "c": 1.0}
    assert parse_class_weights("好=2", ["坏", "好"]) == {"坏": 1.0, "好": 2.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sapm=5", r"^class_weights must name labels \(ham, spam\)\. Received: 'sapm'$"),
        ("spam=0", r"^the class weight of spam must be a number above 0\. Received: '0'$"),
        ("spam=much", r"^the class weight of spam must be a number above 0\. Received: 'much'$"),
        ("spam=nan", r"^the class weight of spam must be a number above 0\. "),
        ('{"spam": true}', r"^the class weight of spam must be a number above 0\. Received: True$"),
        ("spam", r"^class_weights must be balanced, LABEL=WEIGHT,LABEL=WEIGHT or a JSON object\. Received: 'spam'$"),
        ("{spam}", r"^class_weights must be balanced, LABEL=WEIGHT,LABEL=WEIGHT or a JSON object \("),
    ],
)
def test_weights_that_cannot_be(text, message):
    with pytest.raises(UsageError, match=message):
        parse_class_weights(text, ["ham", "spam"])


@pytest.mark.parametrize("cases", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_balanced_weights_equal_those_of_scikit_learn(cases):
    rng = np.random.default_rng(0)
    for _ in range(cases):
        counts = rng.integers(1, 50, rng.integers(2, 6))
        labels = np.repeat(np.arange(len(counts)), counts)
        expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
        weights = balanced_weights({str(index): int(count) for index, count in enumerate(counts)})
        np.testing.assert_allclose(list(weights.values()), expected, rtol=0, atol=1e-9)

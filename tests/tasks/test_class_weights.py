import pytest

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


def test_balanced_weights_make_all_classes_count_the_same():
    counts = {"ham": 3, "spam": 1, "eggs": 4}
    weights = balanced_weights(counts)
    assert weights == pytest.approx({"ham": 8 / 9, "spam": 8 / 3, "eggs": 2 / 3}, abs=1e-12)
    assert [weights[label] * count for label, count in counts.items()] == pytest.approx([8 / 3] * 3)

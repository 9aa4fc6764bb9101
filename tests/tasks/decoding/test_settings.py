import pytest

from kbert.errors import UsageError
from kbert.tasks.decoding.settings import Decoding


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_target": 0}, "max_target must be a whole number of at least 1. Received: max_target=0"),
        ({"beams": True}, "beams must be a whole number of at least 1. Received: beams=True"),
        ({"length_penalty": -1}, "length_penalty must be a number of at least 0. Received: length_penalty=-1"),
        ({"temperature": 0.0}, "temperature must be a number above 0. Received: temperature=0.0"),
        ({"top_p": 1.5}, "top_p must be a number above 0 and at most 1. Received: top_p=1.5"),
        (
            {"max_target": 3, "min_target": 4},
            "min_target must be at most max_target, which is 3. Received: min_target=4",
        ),
        ({"top_k": 5}, "top_k and top_p are for tokens that are drawn: give a temperature, such as 1"),
        (
            {"beams": 2, "temperature": 0.5},
            "beams and temperature contradict each other; leave one out. Received: beams=2, temperature=0.5",
        ),
        (
            {"answers": 3, "beams": 2},
            "several answers need at least as many beams, or a temperature. Received: answers=3, beams=2",
        ),
    ],
)
def test_values_that_are_refused(values, message):
    with pytest.raises(UsageError) as error:
        Decoding(**values)
    assert str(error.value) == message


def test_beams_and_draws_replace_each_other():
    drawing = Decoding(temperature=0.7, top_k=5, top_p=0.9)
    assert drawing.with_changes({"beams": 4}) == Decoding(beams=4)
    assert Decoding(beams=4).with_changes({"temperature": 1.0}) == Decoding(temperature=1.0)
    assert drawing.with_changes({"answers": 3, "seed": 7}).answers == 3


def test_a_seed_needs_draws():
    for changes in ({"seed": 5}, {"seed": 5, "beams": 2}):
        with pytest.raises(UsageError) as error:
            Decoding(temperature=0.7 if "beams" in changes else None).with_changes(changes)
        assert str(error.value) == "seed is for tokens that are drawn: give a temperature, such as 1. Received: seed=5"
    assert Decoding(seed=5).with_changes({"beams": 2}) == Decoding(seed=5, beams=2)
    assert Decoding().with_changes({"seed": 5, "temperature": 1.0}).seed == 5


def test_the_longest_answer_leaves_room_for_the_source():
    assert Decoding().longest(32) == 16
    assert Decoding().longest(8) == 3
    assert Decoding(max_target=27).longest(32) == 27
    with pytest.raises(UsageError, match=r"in the 32 tokens of a row: it can be at most 27\. Received: max_target=28;"):
        Decoding(max_target=28).longest(32)
    with pytest.raises(UsageError, match=r"needs a sequence length of at least 6\. Received: 5"):
        Decoding().longest(5)

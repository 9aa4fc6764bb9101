import pytest

from kbert.errors import UsageError
from kbert.training.search.search_space import SEARCHED, Range, default_space, parse_space


def test_ranges_and_choices():
    assert parse_space({"learning_rate": "1e-5:1e-4", "batch_size": "8:32", "epochs": "1:3"}) == {
        "learning_rate": Range(1e-5, 1e-4, logarithmic=True),
        "batch_size": Range(8, 32, whole=True),
        "epochs": Range(1.0, 3.0),
    }
    assert parse_space({"batch_size": "16,32", "weight_decay": "0"}) == {"batch_size": [16, 32], "weight_decay": [0.0]}


def test_the_default_space_is_around_the_default_rate():
    space = parse_space(default_space(1.2e-4))
    assert tuple(space) == SEARCHED
    assert space["learning_rate"] == Range(3e-5, 4.8e-4, logarithmic=True)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("colour", "1,2", r"^a search may be over learning_rate, .*\. Received: 'colour'$"),
        ("batch_size", "8.5,16", r"^batch_size must be searched over LOW:HIGH or A,B,C, whole numbers, LOW below HIGH"),
        ("epochs", "3:1", r"^epochs must be searched over LOW:HIGH or A,B,C, numbers, .* Received: '3:1'$"),
        ("learning_rate", "0:1", r"^learning_rate must be "),
        ("epochs", "1,1", r"^epochs must be "),
        ("epochs", "", r"^epochs must be "),
        ("epochs", "1:nan", r"^epochs must be "),
    ],
)
def test_what_cannot_be_searched(name, values, message):
    with pytest.raises(UsageError, match=message):
        parse_space({name: values})


def test_nothing_to_search():
    with pytest.raises(UsageError, match=r"^there is nothing to search over"):
        parse_space({})

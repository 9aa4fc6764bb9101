import pytest

from kbert.tasks.protocol.answering import TextInput


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (TextInput("text", "text"), ["a", "b"], [b"a", b"b"]),
        (TextInput("text", "text", is_list=True), [["a"], ["b", "c"]], [[b"a", b""], [b"b", b"c"]]),
        (TextInput("head", "head", is_span=True), [[1, 2], (3, 5)], [[1, 2], [3, 5]]),
        (
            TextInput("all", "all", is_list=True, is_span=True),
            [[], [[1, 2], [3, 4]]],
            [[[0, 0], [0, 0]], [[1, 2], [3, 4]]],
        ),
        (TextInput("all", "all", is_list=True, is_span=True), [[], []], [[[0, 0]], [[0, 0]]]),
    ],
)
def test_values_become_tensors_of_the_declared_form(kind, values, expected):
    tensor = kind.tensor(values)
    assert tensor.numpy().tolist() == expected
    assert kind.spec.is_compatible_with(tensor)
    assert kind.spec.name == kind.name

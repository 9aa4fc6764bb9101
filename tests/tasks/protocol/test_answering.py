import pytest
from every_task import TASKS

from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.text_task import TrainableTextTask


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


def test_a_task_of_another_package_gets_all_outputs_of_the_encoder_unless_it_says_otherwise():
    pooled_only = {name for name, make in TASKS.items() if make().pooled_only}
    assert pooled_only == {"classification", "pairs", "multilabel", "regression", "ranking", "multiple choice"}
    assert (TrainableTextTask.pooled, TrainableTextTask.pooled_only) == (True, False)

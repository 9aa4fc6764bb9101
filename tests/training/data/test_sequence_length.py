import pytest

from kbert.tasks.classification import ClassificationTask
from kbert.tasks.text_task import Example
from kbert.training.data.sequence_length import FittingLength, fitting_length


@pytest.fixture(scope="module")
def tokenizer(vocabulary):
    from kbert.text.tokenizer import Tokenizer

    return Tokenizer(vocabulary).to_graph()


def length_for(tokenizer, *word_counts, positions=512):
    task = ClassificationTask(["a", "b"])
    examples = [Example("cat " * count, None, "a", line) for line, count in enumerate(word_counts, start=1)]
    examples = [task.check_example(example) for example in examples]
    return fitting_length(task, examples, tokenizer, positions)


def test_short_texts_have_the_shortest_length(tokenizer):
    assert length_for(tokenizer, 5, 126) == FittingLength(128, 0.0)


def test_a_twentieth_of_the_texts_may_be_cut(tokenizer):
    assert length_for(tokenizer, *[5] * 19, 400) == FittingLength(128, 0.05)
    assert length_for(tokenizer, *[5] * 18, 400, 150) == FittingLength(192, 0.05)
    assert length_for(tokenizer, *[5] * 18, 200, 200) == FittingLength(256, 0.0)


def test_no_default_is_above_256_tokens_or_the_positions(tokenizer):
    assert length_for(tokenizer, 400, 400) == FittingLength(256, 1.0)
    assert length_for(tokenizer, 100, 20, positions=32) == FittingLength(32, 0.5)


def test_many_texts_are_sampled(tokenizer):
    assert length_for(tokenizer, *[170, 5] * 1500).length == 192

import pytest

from kbert.tasks.classification import ClassificationTask
from kbert.tasks.multiple_choice import ChoiceExample, MultipleChoiceTask
from kbert.tasks.text_task import Example
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.training.data.unknown_tokens import warn_of_unknown_tokens


@pytest.fixture
def warnings(vocabulary, logged):
    def warn(task, examples, *, pretrained=True):
        tokenizer = Tokenizer(vocabulary)
        rows = task.training_rows(examples, GraphEncoder(tokenizer.to_graph(), 512))
        logged()
        warn_of_unknown_tokens(task, examples, rows, tokenizer, pretrained=pretrained)
        return logged()

    return warn


def texts(*texts):
    return [Example(text, None, "a", line) for line, text in enumerate(texts, start=1)]


def test_characters_that_the_vocabulary_lacks(warnings):
    task = ClassificationTask(["a", "b"])
    (warning,) = warnings(task, texts("the cat，a dog，", "a cat sat on the mat", "Zebra ran"))
    # 3 of the 14 tokens.
    assert warning.startswith(
        "21.4% of the tokens are [UNK], most often for '，' (67% of them), 'zebra' (33%); no token has "
    )
    assert "'z' (in 33%)" in warning
    assert "`kbert vocab extend` adds words to a model" in warning
    (warning,) = warnings(task, texts("Zebra ran"), pretrained=False)
    assert warning.endswith("apart. `kbert vocab train` makes a vocabulary from texts such as these")
    assert warnings(task, texts("the cat, a dog,", "a cat sat")) == []
    assert warnings(task, texts("the cat " * 100, "zebra")) == []  # 1 of 201 tokens


def test_words_that_are_too_long(warnings):
    task = ClassificationTask(["a", "b"])
    (warning,) = warnings(task, texts("the " + "cat" * 100, "a dog " * 60))
    assert warning.startswith("each word that is too long is one [UNK]: 1 word is longer than 200 characters, such as ")


def test_texts_in_lists(warnings):
    examples = [ChoiceExample("the cat", ("sat", "zebra"), 0, 1)]
    (warning,) = warnings(MultipleChoiceTask(), examples)
    assert "'zebra' (100% of them)" in warning

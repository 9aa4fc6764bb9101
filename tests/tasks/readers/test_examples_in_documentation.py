import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "kbert.files.text_check",
        "kbert.prediction.formats",
        "kbert.sources.bad_rows",
        "kbert.sources.detection",
        "kbert.sources.sheets",
        "kbert.tasks.labels",
        "kbert.tasks.metrics.relations",
        "kbert.tasks.metrics.semantic_roles",
        "kbert.tasks.readers.conll_columns",
        "kbert.tasks.readers.label_lists",
        "kbert.tasks.readers.numbers",
        "kbert.tasks.readers.passages",
        "kbert.tasks.readers.question_answering",
        "kbert.tasks.readers.relations",
        "kbert.tasks.readers.span_exports",
        "kbert.tasks.readers.tag_columns",
        "kbert.tasks.readers.tagged_words",
        "kbert.tasks.readers.word_tags",
    ],
)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed

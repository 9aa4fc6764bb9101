"""Models of all tasks, each with a name that says what is special about it. Modules are imported only when needed."""

import importlib


def _task(module, name, *arguments, **options):
    return lambda: getattr(importlib.import_module(f"kbert.tasks.{module}"), name)(*arguments, **options)


TASKS = {
    "classification": _task("classification", "ClassificationTask", ["a", "b", "c"]),
    "pairs": _task("classification", "ClassificationTask", ["a", "b", "c"], paired=True),
    "multilabel": _task("multilabel", "MultilabelTask", ["x", "y"]),
    "tagging": _task("tagging", "TaggingTask", ["O", "B-P", "I-P"]),
    "tagging with a CRF": _task("tagging", "TaggingTask", ["O", "B-P", "I-P"], crf=True),
    "tagging of words": _task("tagging", "TaggingTask", ["DET", "NOUN", "VERB"], per_word=True),
    "question answering": _task("question_answering", "QuestionAnsweringTask"),
    "regression": _task("regression", "RegressionTask", mean=3.0, deviation=2.0),
    "ranking": _task("ranking", "RankingTask"),
    "multiple choice": _task("multiple_choice", "MultipleChoiceTask"),
    "summarization": _task("summarization", "SummarizationTask", 2),
    "embedding": _task("embedding", "EmbeddingTask"),
    "relations": _task("relations", "RelationsTask", ["Other", "eats(e1,e2)", "eats(e2,e1)"], "Other"),
    "semantic roles": _task("semantic_roles", "SemanticRolesTask", ["ARG0", "ARG1"], ["sit.01"], {"sat": [0]}),
    "generation": _task("generation", "GenerationTask"),
}
WITHOUT_POOLER = {
    "tagging",
    "tagging with a CRF",
    "tagging of words",
    "question answering",
    "summarization",
    "embedding",
    "relations",
    "semantic roles",
    "generation",
}
"""The tasks whose models have no pooler."""

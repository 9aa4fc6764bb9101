"""The metrics of a loaded model on labelled examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kbert.files import PathLike
from kbert.prediction.options import EvaluateOptions
from kbert.prediction.out_of_scope import Scope
from kbert.sources.bad_rows import BadRows
from kbert.tasks.metric_interval import interval_of
from kbert.tasks.protocol.trainable import TrainableTask


def evaluation_metrics(
    predictor: Any,
    task: TrainableTask[Any],
    examples: Sequence[Any],
    path: PathLike,
    options: EvaluateOptions,
    bad: BadRows,
) -> dict[str, Any]:
    """Returns the metrics of a model, with those that the options request.

    Args:
        predictor: The `Predictor`.
        task: Its task.
        examples: The examples as they were read, whose labels are not checked yet.
        path: Their file, for messages.
        options: The options of the evaluation.
        bad: Counts the examples with invalid labels.

    Raises:
        DataError: A label did not occur in training.
        UsageError: An option is not for this task.
    """
    scope = None
    if options.out_of_scope_label is not None:
        scope = Scope.of(task, examples, options.out_of_scope_label)
        examples = scope.known
    examples = task.keep_valid(examples, path, bad)
    answers = predictor.answers_for_examples(examples, batch_size=options.batch_size)
    metrics = task.evaluate(examples, answers)
    metrics |= interval_of(task, examples, answers, metrics)
    if scope is not None:
        metrics |= scope.scores(predictor.text_model, examples, answers, batch_size=options.batch_size)
    if options.faithfulness:
        from kbert.prediction.explanation.faithfulness import faithfulness

        texts = task.texts_of(examples[: options.explained_examples])
        metrics["faithfulness"] = faithfulness(predictor.text_model, texts, batch_size=options.batch_size)
    return metrics

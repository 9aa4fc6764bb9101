"""Evaluations during fine-tuning, which choose the best weights."""

from __future__ import annotations

from kbert.errors import UsageError
from kbert.prediction.predictor import Predictor
from kbert.tasks.metric_interval import interval_of
from kbert.tasks.metrics.names import LOSS
from kbert.tasks.metrics.worst_examples import WORST_EXAMPLES
from kbert.training.finetuning.model import FinetunedModel
from kbert.training.finetuning.plan import FinetuningPlan
from kbert.training.loop.validation_loss import ValidationLoss
from kbert.training.run_folder.best_weights import BestWeights


class Evaluation:
    """Evaluates the model on the validation examples, and keeps its weights if they are the best so far.

    It predicts with the graph that is served later. Only the chief calls it, because only the chief has the rows of the
    validation examples.

    Args:
        plan: The plan of the run.
        finetuned: The model.
        best: The best weights so far.
    """

    def __init__(self, plan: FinetuningPlan, finetuned: FinetunedModel, best: BestWeights) -> None:
        self._plan = plan
        self._finetuned = finetuned
        self._best = best
        tokenizer = plan.start.tokenizer
        self._predictor = Predictor(plan.task, finetuned.model, tokenizer, plan.sequence_length, plan.encode)
        self._loss = None
        if plan.validation_rows is not None:
            self._loss = ValidationLoss(
                finetuned.model,
                plan.task,
                plan.validation_rows,
                batch_size=plan.options.batch_size,
                sequence_length=plan.sequence_length,
                pad_id=tokenizer.vocabulary.pad_id,
            )

    def __call__(self, step: int) -> dict[str, float]:
        """Returns the metrics of the present weights, such as "validation_accuracy".

        Args:
            step: The number of steps done.

        Raises:
            UsageError: The main metric cannot be computed from the validation examples.
        """
        plan, examples = self._plan, self._plan.examples.validation
        answers = self._predictor.answers_for_examples(examples)
        task = plan.task.with_tuned_thresholds(examples, answers)
        metrics = task.evaluate(examples, answers)
        if plan.privacy is not None:
            metrics.pop(WORST_EXAMPLES, None)  # texts must not be in any file, nor in the one of the best weights
        if self._loss is not None:
            metrics[LOSS] = self._loss()
        if plan.task.main_metric not in metrics:
            raise UsageError(
                f"the validation data do not allow {plan.task.main_metric} to be computed; give another --main-metric"
            )
        if self._best.would_keep(metrics):
            metrics |= interval_of(task, examples, answers, metrics)
            self._best.offer(step, metrics, task.settings(), self._finetuned.weights())
        return {f"validation_{name}": value for name, value in metrics.items() if isinstance(value, float)}

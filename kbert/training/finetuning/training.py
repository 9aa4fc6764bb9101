"""The training of a model that has its starting weights, which fine-tuning and distillation share."""

from __future__ import annotations

import functools
from typing import Any

from kbert import files
from kbert.tasks.protocol.objective import Objective
from kbert.tasks.readers.remembered import Reading
from kbert.training.data.batches import LengthBucketedBatches
from kbert.training.finetuning.evaluation import Evaluation
from kbert.training.finetuning.model import FinetunedModel
from kbert.training.finetuning.plan import FinetuningPlan
from kbert.training.finetuning.result import write_result
from kbert.training.learning_rate_finder import as_json, run_range_test
from kbert.training.loop.inputs import Phase
from kbert.training.loop.loop import TrainingLoop
from kbert.training.monitoring.monitor import TENSORBOARD_FOLDER
from kbert.training.monitoring.throughput import TimeOnly
from kbert.training.private.batches import PoissonBatches
from kbert.training.private.plan import check_one_device
from kbert.training.private.resuming import ForgetLaterWeights, remove_tensorboard_files
from kbert.training.private.step import PrivateStep
from kbert.training.quantize_aware import enable_fake_quantization
from kbert.training.run import Run
from kbert.training.run_folder.best_weights import BEST_FILE, BestWeights
from kbert.training.run_folder.runs import LEARNING_RATES_FILE


def train_and_finish(
    run: Run,
    plan: FinetuningPlan,
    finetuned: FinetunedModel,
    reading: Reading,
    *,
    trained: Any = None,
    objective: Objective | None = None,
) -> dict[str, Any]:
    """Trains a model that has its starting weights, and writes the model folder with the best weights.

    Args:
        run: The run.
        plan: The plan of the run.
        finetuned: The model.
        reading: How the training file was read.
        trained: The model that is called in training, which has the variables of `finetuned`; by default its model.
        objective: The objective that is minimized; by default the losses of the task.

    Returns:
        See `kbert.finetune`.
    """
    options = plan.options
    if options.quantize_aware is not None:
        enable_fake_quantization(finetuned.model, options.quantize_aware)
    batches = _batches(plan)
    loop = run.make_loop(
        finetuned.model if trained is None else trained,
        plan.start.config,
        objective=plan.task if objective is None else objective,
        phases=[Phase(plan.settings.steps, batches)],
        schedule=plan.schedule,
        optimizer=plan.optimizer,
        settings=plan.settings,
        used_tokens=plan.used_tokens,
        trained_only=finetuned.adapter is not None,
        **_private_training(run, plan),
    )
    if options.find_learning_rate:
        assert isinstance(batches, LengthBucketedBatches)  # private runs do not have this option
        return _find_learning_rate(run, loop, batches, plan.schedule.peak)

    best = BestWeights(
        run.checkpoint_folder / BEST_FILE,
        plan.task.main_metric,
        larger_is_better=plan.task.larger_is_better,
        resume=options.resume,
    )
    observers = []
    if plan.privacy is not None and options.resume:
        remove_tensorboard_files(run.folder / TENSORBOARD_FOLDER)
        observers.append(ForgetLaterWeights(best))
    run.train(
        loop,
        finetuned.model,
        evaluate=Evaluation(plan, finetuned, best),
        evaluate_every=plan.evaluate_every,
        early_stopping=plan.early_stopping,
        observers=observers,
    )
    if not run.is_chief:
        return {}
    return write_result(run, plan, finetuned, best.load(), reading, steps=loop.steps_done)


def _batches(plan: FinetuningPlan) -> LengthBucketedBatches | PoissonBatches:
    """Returns the batches of a run; those of a private run are draws of its rows."""
    shape: dict[str, Any] = {
        "batch_size": plan.options.batch_size,
        "steps": plan.settings.steps,
        "sequence_length": plan.sequence_length,
        "pad_id": plan.start.tokenizer.vocabulary.pad_id,
    }
    if plan.privacy is not None:
        return PoissonBatches(plan.rows, expected=plan.privacy.draw_size, **shape)
    return LengthBucketedBatches(plan.rows, seed=plan.options.seed, **shape)


def _private_training(run: Run, plan: FinetuningPlan) -> dict[str, Any]:
    """Returns the arguments of `Run.make_loop` with which a run is private; none if it is not."""
    privacy = plan.privacy
    if privacy is None:
        return {}
    check_one_device(run.placement.strategy.num_replicas_in_sync)
    make_step = functools.partial(
        PrivateStep, clip=privacy.clip, noise_multiplier=privacy.noise_multiplier, expected=privacy.draw_size
    )
    return {"make_step": make_step, "meter": TimeOnly(plan.start.config)}


def _find_learning_rate(run: Run, loop: TrainingLoop, batches: LengthBucketedBatches, centre: float) -> dict[str, Any]:
    """Runs the learning-rate range test around `centre`, and writes its curve."""
    curve = as_json(run_range_test(loop, batches, centre))
    if run.is_chief:
        files.write_json(run.folder / LEARNING_RATES_FILE, curve)
    return curve

"""The plan of a pretraining run: all decisions that are made before the model is built."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

from kbert.corpus.reading.pipeline import PretrainingBatches
from kbert.errors import UsageError
from kbert.options import option_error, option_infos
from kbert.training.devices.jit import use_jit
from kbert.training.evaluation import ValidationCorpus
from kbert.training.loop.settings import LoopSettings
from kbert.training.optimizers.schedules import Schedule
from kbert.training.optimizers.settings import OptimizerSettings
from kbert.training.options import PretrainOptions
from kbert.training.pretraining.corpora import corpus_folders
from kbert.training.run_folder.runs import RunRecord, earlier_record
from kbert.training.starting_point import StartingPoint

_ADVICE = (
    "lower the learning rate or lengthen the warm-up, or skip these batches with --on-spike rewind, which goes back to "
    "the last checkpoint"
)
"""The advice for a loss that jumps or is not finite."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingPlan:
    """The plan of a run.

    Args:
        options: The options of the run.
        corpora: The corpus of each phase.
        phase_steps: The number of steps of each phase.
        start: The model or the preset that the run starts from.
        validation: The validation corpus; None if there is none.
        evaluate_every: The number of steps between evaluations; 0 if there is no validation corpus.
        schedule: The learning-rate schedule.
        optimizer: The settings of the optimizer.
        settings: The settings of the training loop.
    """

    options: PretrainOptions
    corpora: Sequence[PretrainingBatches]
    phase_steps: Sequence[int]
    start: StartingPoint
    validation: ValidationCorpus | None
    evaluate_every: int
    schedule: Schedule
    optimizer: OptimizerSettings
    settings: LoopSettings

    @property
    def pairs(self) -> bool:
        """Whether the corpora contain pairs of texts with a label."""
        return any(source.labelled for source in self.corpora)

    def record(self, command: str) -> RunRecord:
        """Returns the record of the run for run.json.

        Args:
            command: The command: "pretrain".
        """
        fingerprints = "".join(source.manifest.fingerprint() for source in self.corpora)
        return RunRecord(
            command,
            options=self.options.remembered() | {"jit": "on" if self.settings.jit else "off"},
            defaults={
                "warmup_steps": self.schedule.warmup_steps,
                "bias_correction": self.optimizer.bias_correction,
                "evaluate_every": self.evaluate_every,
            },
            contents={
                "corpus": _sha256(fingerprints),
                "model": self.start.digest(),
                "validation_corpus": None if self.validation is None else _sha256(self.validation.fingerprint()),
            },
            derived={
                "steps": self.settings.steps,
                "config": self.start.config.to_dict(),
                "optimizer": dataclasses.asdict(self.optimizer),
                "schedule": dataclasses.asdict(self.schedule),
            },
        )


def plan_pretraining(
    options: PretrainOptions, corpora: Sequence[PretrainingBatches], start: StartingPoint
) -> PretrainingPlan:
    """Returns the plan of a run, with defaults for the options that were not given.

    Args:
        options: The options of the run.
        corpora: The corpus of each phase.
        start: The model or the preset that the run starts from.

    Raises:
        UsageError: An option is invalid for the model or the corpora, or the run has more steps than before, and its
            schedule does not allow that.
        RecordError: The validation corpus is invalid.
    """
    config = start.config
    longest = max(source.manifest.sequence_length for source in corpora)
    if longest > config.max_position_embeddings:
        raise UsageError(
            f"the corpus has examples of {longest} tokens, but the model has only "
            f"{config.max_position_embeddings} positions; build the corpus with a smaller length: "
            "`kbert corpus build --sequence-length`"
        )
    validation = None
    if options.validation_corpus is not None:
        model = options.model if start.bundle is not None else corpus_folders(options)[0]
        validation = ValidationCorpus(options.validation_corpus, start.tokenizer, model=str(model))
        validation.check_length(config.max_position_embeddings)
    steps = options.total_steps
    bias_correction = options.bias_correction
    if bias_correction is None:
        bias_correction = options.optimizer in ("lamb", "muon")
    schedule = Schedule.from_options(
        options, peak=options.learning_rate, steps=steps, warmup_steps=_warmup_steps(options)
    )
    return PretrainingPlan(
        options=options,
        corpora=corpora,
        phase_steps=[count for _, count in options.phases] or [steps],
        start=start,
        validation=validation,
        evaluate_every=0 if validation is None else options.evaluate_every or options.checkpoint_every,
        schedule=schedule,
        optimizer=OptimizerSettings.from_options(options, bias_correction=bias_correction),
        settings=LoopSettings.from_options(
            options,
            steps=steps,
            on_spike=options.on_spike,
            spike_threshold=options.spike_threshold,
            jit=use_jit(options.jit),
            advice=_ADVICE,
        ),
    )


def _warmup_steps(options: PretrainOptions) -> int:
    """Returns the number of warm-up steps; a run that is continued, perhaps with more steps, keeps its number.

    Raises:
        OptionError: The run has more steps than before, and its schedule does not allow that.
    """
    steps = options.total_steps
    earlier = earlier_record(Path(options.output), resume=options.resume)
    before = earlier.value("steps") if earlier is not None and earlier.command == "pretrain" else None
    if earlier is not None and before is not None and steps > before and options.schedule != "constant":
        raise option_error(
            lambda spell: (
                f"{options.output} was started with {spell('steps', before)}, at the end of which its "
                f"{options.schedule} schedule is at a learning rate of 0. Received: {spell('steps', steps)}; to train "
                f"longer, start another run from the finished one with {spell('model', str(options.output))} and "
                f"another {spell('output')} (only {spell('schedule', 'constant')} can go on)"
            ),
            option_infos(PretrainOptions),
        )
    if options.warmup_steps is not None:
        return options.warmup_steps
    if earlier is not None and earlier.value("warmup_steps") is not None:
        return min(steps, int(earlier.value("warmup_steps")))
    return min(10_000, steps // 10)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

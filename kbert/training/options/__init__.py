"""The options of training, from which the functions, the command line and run.json take them (see kbert.options).

This folder does not import TensorFlow, so that the command line checks all options before TensorFlow starts.
"""

from kbert.training.options.auditing import AuditOptions
from kbert.training.options.calibrating import CalibrateOptions
from kbert.training.options.distilling import DistillOptions, TeacherOptions
from kbert.training.options.evaluation import EvaluatePretrainingOptions
from kbert.training.options.finetuning import AUGMENTATIONS, FinetuneOptions, keyword_infos, task_option_infos
from kbert.training.options.launching import LaunchOptions
from kbert.training.options.pretraining import INITIALIZATIONS, JIT, ON_SPIKE, PretrainOptions
from kbert.training.options.privacy import PrivacyOptions
from kbert.training.options.pruning import PruneOptions
from kbert.training.options.sections import SECTIONS
from kbert.training.options.several_runs import SEARCHES, CrossValidateOptions, FinetuneSeedsOptions, TuneOptions
from kbert.training.options.training import CLUSTERS, OPTIMIZERS, SCHEDULES, STRATEGIES, TrainingOptions

__all__ = [
    "AUGMENTATIONS",
    "CLUSTERS",
    "INITIALIZATIONS",
    "JIT",
    "ON_SPIKE",
    "OPTIMIZERS",
    "SCHEDULES",
    "SEARCHES",
    "SECTIONS",
    "STRATEGIES",
    "AuditOptions",
    "CalibrateOptions",
    "CrossValidateOptions",
    "DistillOptions",
    "EvaluatePretrainingOptions",
    "FinetuneOptions",
    "FinetuneSeedsOptions",
    "LaunchOptions",
    "PretrainOptions",
    "PrivacyOptions",
    "PruneOptions",
    "TeacherOptions",
    "TrainingOptions",
    "TuneOptions",
    "keyword_infos",
    "task_option_infos",
]

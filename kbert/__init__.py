"""BERT for Keras and TensorFlow: from raw text to a served model.

Most commands of the `kbert` program are also functions of this package, with the same options (docs/python.md).
Names are imported when they are first used, so that `import kbert` is fast.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from kbert.runtime.quiet_import import import_quietly
from kbert.version import __version__

if TYPE_CHECKING:
    from kbert.config import BertConfig, preset_config
    from kbert.conversion.command_options import (
        ConvertOptions,
        ExtendVocabularyOptions,
        ExtractAdapterOptions,
        MergeAdapterOptions,
        TrimVocabularyOptions,
    )
    from kbert.conversion.convert import Conversion, convert
    from kbert.conversion.vocabulary_extension import extend_vocabulary
    from kbert.conversion.vocabulary_trimming import trim_vocabulary
    from kbert.corpus.building.build import build_corpus
    from kbert.corpus.options import BuildCorpusOptions
    from kbert.errors import KbertError
    from kbert.export.options import ExportLitertOptions, ExportSavedModelOptions
    from kbert.export.phone.export import export_litert
    from kbert.export.saved_model import export_saved_model
    from kbert.inference.litert_benchmark.benchmark import bench_litert
    from kbert.inference.litert_benchmark.options import BenchLitertOptions
    from kbert.model_folder.bundle import Bundle
    from kbert.model_folder.provenance import verify
    from kbert.optimizers.adamw import AdamW
    from kbert.optimizers.lamb import Lamb
    from kbert.optimizers.muon import Muon
    from kbert.optimizers.sgd import SGD
    from kbert.optimizers.warmup_schedule import WarmupSchedule
    from kbert.prediction.feature_vectors import extract_features
    from kbert.prediction.loading import load
    from kbert.prediction.options import (
        EvaluateOptions,
        ExplainOptions,
        ExtractFeaturesOptions,
        LoadOptions,
        PredictOptions,
        PredictToFileOptions,
    )
    from kbert.prediction.prediction_file import predict_to_file
    from kbert.prediction.predictor import Predictor
    from kbert.pretrained.adapter_folders import extract_adapter, merge_adapter
    from kbert.pretrained.loading import load_model
    from kbert.pretrained.models import (
        BertEncoder,
        ClassificationModel,
        EmbeddingModel,
        MaskedLanguageModel,
        MultipleChoiceModel,
        PretrainingModel,
        QuestionAnsweringModel,
        RankingModel,
        RegressionModel,
        TokenClassificationModel,
    )
    from kbert.pretrained.preprocessor import Preprocessor
    from kbert.privacy.mask_files import mask_pii
    from kbert.privacy.options import MaskPiiOptions
    from kbert.report.options import WriteReportOptions
    from kbert.report.run import run_report, write_report
    from kbert.retrieval.build import build_index
    from kbert.retrieval.index import Index
    from kbert.retrieval.options import BuildIndexOptions, MeasureSearchOptions, SearchOptions
    from kbert.retrieval.search import measure_search, search
    from kbert.runtime.prepare import prepare_runtime
    from kbert.serving.options import ServeOptions
    from kbert.serving.server import serve
    from kbert.sources.settings import SourceSettings
    from kbert.text.encoding import Encoding
    from kbert.text.options import TrainVocabularyOptions
    from kbert.text.settings import AddedToken
    from kbert.text.tokenizer import Tokenizer
    from kbert.text.vocabulary import Vocabulary
    from kbert.text.vocabulary_training import train_tokenizer, train_vocabulary
    from kbert.training.audit import audit
    from kbert.training.calibrate import calibrate
    from kbert.training.devices.launch import launch
    from kbert.training.distill import distill
    from kbert.training.evaluation import evaluate_pretraining
    from kbert.training.finetune import finetune
    from kbert.training.options import (
        AuditOptions,
        CalibrateOptions,
        CrossValidateOptions,
        DistillOptions,
        EvaluatePretrainingOptions,
        FinetuneOptions,
        FinetuneSeedsOptions,
        LaunchOptions,
        PretrainOptions,
        PruneOptions,
        TuneOptions,
    )
    from kbert.training.pretrain import pretrain
    from kbert.training.prune import prune
    from kbert.training.search.repeats import cross_validate, finetune_seeds
    from kbert.training.search.tune import tune

_MODULES = {
    "AdamW": "kbert.optimizers.adamw",
    "AddedToken": "kbert.text.settings",
    "AuditOptions": "kbert.training.options",
    "BenchLitertOptions": "kbert.inference.litert_benchmark.options",
    "BertConfig": "kbert.config",
    "BertEncoder": "kbert.pretrained.models",
    "BuildCorpusOptions": "kbert.corpus.options",
    "BuildIndexOptions": "kbert.retrieval.options",
    "Bundle": "kbert.model_folder.bundle",
    "CalibrateOptions": "kbert.training.options",
    "ClassificationModel": "kbert.pretrained.models",
    "Conversion": "kbert.conversion.convert",
    "ConvertOptions": "kbert.conversion.command_options",
    "CrossValidateOptions": "kbert.training.options",
    "DistillOptions": "kbert.training.options",
    "EmbeddingModel": "kbert.pretrained.models",
    "Encoding": "kbert.text.encoding",
    "EvaluateOptions": "kbert.prediction.options",
    "EvaluatePretrainingOptions": "kbert.training.options",
    "ExplainOptions": "kbert.prediction.options",
    "ExportLitertOptions": "kbert.export.options",
    "ExportSavedModelOptions": "kbert.export.options",
    "ExtendVocabularyOptions": "kbert.conversion.command_options",
    "ExtractAdapterOptions": "kbert.conversion.command_options",
    "ExtractFeaturesOptions": "kbert.prediction.options",
    "FinetuneOptions": "kbert.training.options",
    "FinetuneSeedsOptions": "kbert.training.options",
    "Index": "kbert.retrieval.index",
    "KbertError": "kbert.errors",
    "Lamb": "kbert.optimizers.lamb",
    "LaunchOptions": "kbert.training.options",
    "LoadOptions": "kbert.prediction.options",
    "MaskPiiOptions": "kbert.privacy.options",
    "MaskedLanguageModel": "kbert.pretrained.models",
    "MeasureSearchOptions": "kbert.retrieval.options",
    "MergeAdapterOptions": "kbert.conversion.command_options",
    "MultipleChoiceModel": "kbert.pretrained.models",
    "Muon": "kbert.optimizers.muon",
    "PredictOptions": "kbert.prediction.options",
    "PredictToFileOptions": "kbert.prediction.options",
    "Predictor": "kbert.prediction.predictor",
    "Preprocessor": "kbert.pretrained.preprocessor",
    "PretrainOptions": "kbert.training.options",
    "PretrainingModel": "kbert.pretrained.models",
    "PruneOptions": "kbert.training.options",
    "QuestionAnsweringModel": "kbert.pretrained.models",
    "RankingModel": "kbert.pretrained.models",
    "RegressionModel": "kbert.pretrained.models",
    "SGD": "kbert.optimizers.sgd",
    "SearchOptions": "kbert.retrieval.options",
    "ServeOptions": "kbert.serving.options",
    "SourceSettings": "kbert.sources.settings",
    "TokenClassificationModel": "kbert.pretrained.models",
    "Tokenizer": "kbert.text.tokenizer",
    "TrainVocabularyOptions": "kbert.text.options",
    "TrimVocabularyOptions": "kbert.conversion.command_options",
    "TuneOptions": "kbert.training.options",
    "Vocabulary": "kbert.text.vocabulary",
    "WarmupSchedule": "kbert.optimizers.warmup_schedule",
    "WriteReportOptions": "kbert.report.options",
    "bench_litert": "kbert.inference.litert_benchmark.benchmark",
    "audit": "kbert.training.audit",
    "build_corpus": "kbert.corpus.building.build",
    "build_index": "kbert.retrieval.build",
    "calibrate": "kbert.training.calibrate",
    "convert": "kbert.conversion.convert",
    "cross_validate": "kbert.training.search.repeats",
    "distill": "kbert.training.distill",
    "evaluate_pretraining": "kbert.training.evaluation",
    "export_litert": "kbert.export.phone.export",
    "export_saved_model": "kbert.export.saved_model",
    "extend_vocabulary": "kbert.conversion.vocabulary_extension",
    "extract_adapter": "kbert.pretrained.adapter_folders",
    "extract_features": "kbert.prediction.feature_vectors",
    "finetune": "kbert.training.finetune",
    "finetune_seeds": "kbert.training.search.repeats",
    "launch": "kbert.training.devices.launch",
    "load": "kbert.prediction.loading",
    "load_model": "kbert.pretrained.loading",
    "mask_pii": "kbert.privacy.mask_files",
    "measure_search": "kbert.retrieval.search",
    "merge_adapter": "kbert.pretrained.adapter_folders",
    "prepare_runtime": "kbert.runtime.prepare",
    "preset_config": "kbert.config",
    "predict_to_file": "kbert.prediction.prediction_file",
    "pretrain": "kbert.training.pretrain",
    "prune": "kbert.training.prune",
    "run_report": "kbert.report.run",
    "search": "kbert.retrieval.search",
    "serve": "kbert.serving.server",
    "train_tokenizer": "kbert.text.vocabulary_training",
    "train_vocabulary": "kbert.text.vocabulary_training",
    "trim_vocabulary": "kbert.conversion.vocabulary_trimming",
    "tune": "kbert.training.search.tune",
    "verify": "kbert.model_folder.provenance",
    "write_report": "kbert.report.run",
}

__all__ = [
    "SGD",
    "AdamW",
    "AddedToken",
    "AuditOptions",
    "BenchLitertOptions",
    "BertConfig",
    "BertEncoder",
    "BuildCorpusOptions",
    "BuildIndexOptions",
    "Bundle",
    "CalibrateOptions",
    "ClassificationModel",
    "Conversion",
    "ConvertOptions",
    "CrossValidateOptions",
    "DistillOptions",
    "EmbeddingModel",
    "Encoding",
    "EvaluateOptions",
    "EvaluatePretrainingOptions",
    "ExplainOptions",
    "ExportLitertOptions",
    "ExportSavedModelOptions",
    "ExtendVocabularyOptions",
    "ExtractAdapterOptions",
    "ExtractFeaturesOptions",
    "FinetuneOptions",
    "FinetuneSeedsOptions",
    "Index",
    "KbertError",
    "Lamb",
    "LaunchOptions",
    "LoadOptions",
    "MaskPiiOptions",
    "MaskedLanguageModel",
    "MeasureSearchOptions",
    "MergeAdapterOptions",
    "MultipleChoiceModel",
    "Muon",
    "PredictOptions",
    "PredictToFileOptions",
    "Predictor",
    "Preprocessor",
    "PretrainOptions",
    "PretrainingModel",
    "PruneOptions",
    "QuestionAnsweringModel",
    "RankingModel",
    "RegressionModel",
    "SearchOptions",
    "ServeOptions",
    "SourceSettings",
    "TokenClassificationModel",
    "Tokenizer",
    "TrainVocabularyOptions",
    "TrimVocabularyOptions",
    "TuneOptions",
    "Vocabulary",
    "WarmupSchedule",
    "WriteReportOptions",
    "__version__",
    "audit",
    "bench_litert",
    "build_corpus",
    "build_index",
    "calibrate",
    "convert",
    "cross_validate",
    "distill",
    "evaluate_pretraining",
    "export_litert",
    "export_saved_model",
    "extend_vocabulary",
    "extract_adapter",
    "extract_features",
    "finetune",
    "finetune_seeds",
    "launch",
    "load",
    "load_model",
    "mask_pii",
    "measure_search",
    "merge_adapter",
    "predict_to_file",
    "prepare_runtime",
    "preset_config",
    "pretrain",
    "prune",
    "run_report",
    "search",
    "serve",
    "train_tokenizer",
    "train_vocabulary",
    "trim_vocabulary",
    "tune",
    "verify",
    "write_report",
]


# Without a handler Python would print the warnings of this logger. A program that wants its records adds a handler.
logging.getLogger("kbert").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'kbert' has no attribute {name!r}")
    value = getattr(import_quietly(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

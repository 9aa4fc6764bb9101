import subprocess
import sys

import pytest

import kbert

NAMES = [
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


def test_all_is_pinned():
    assert kbert.__all__ == NAMES
    assert dir(kbert) == sorted(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_every_name_can_be_imported(name):
    value = getattr(kbert, name)
    assert value.__name__ == name
    assert value.__module__.startswith("kbert.")
    assert value.__doc__


def test_there_is_no_other_name():
    with pytest.raises(AttributeError, match=r"^module 'kbert' has no attribute 'pretrian'$"):
        kbert.pretrian  # noqa: B018


def test_importing_kbert_imports_nothing_heavy():
    code = (
        "import sys, kbert; kbert.__version__; "
        "print(sorted({'tensorflow', 'keras', 'numpy', 'torch', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == ("[]\n")

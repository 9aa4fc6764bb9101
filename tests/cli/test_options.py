"""The command line, the functions and the options classes agree on every option."""

import dataclasses
import doctest
import importlib
import inspect
import re
import subprocess
import sys
import time
from collections.abc import Mapping

import click
import pytest
from click.testing import CliRunner

import kbert
from kbert.cli import options as click_options
from kbert.cli.finetune import SINGLE_RUN
from kbert.cli.main import main
from kbert.options import OptionError, check_value, command_text, option_infos
from kbert.prediction.options import DecodingOptions
from kbert.prediction.predictor import Predictor
from kbert.quickstart import QuickstartOptions, quickstart
from kbert.tasks.catalogue import TASKS, all_columns, all_reading_options
from kbert.training.options import PrivacyOptions, task_option_infos

TRAINED = [name for name, info in TASKS.items() if info.trainable]


def commands(group=main, path=()):
    """All commands by their words, such as ("corpus", "build")."""
    found = {}
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            found |= commands(command, (*path, name))
        else:
            found[(*path, name)] = command
    return found


COMMANDS = commands()


# === The commands, and the functions that do the same ===


@dataclasses.dataclass(frozen=True)
class Same:
    """A command, and what does the same in Python.

    Args:
        functions: The functions, and the class of the options of each.
        command_alone: The options that only the command has, each with a reason.
        functions_alone: The parameters that only the functions have, each with a reason.
        different: The options whose default or choices differ, each with a reason.
    """

    functions: Mapping
    command_alone: Mapping = dataclasses.field(default_factory=dict)
    functions_alone: Mapping = dataclasses.field(default_factory=dict)
    different: Mapping = dataclasses.field(default_factory=dict)


ONLY_PYTHON = {
    "callbacks": "objects of Python",
    "show_progress": "a command always shows it",
    "fold": "a part of a cross-validation",
}
OF_TEACHER = dict.fromkeys(
    ("adapter", "tokenizer"), "a student trains all of its weights, with the tokenizer of its teacher"
) | dict.fromkeys(option_infos(PrivacyOptions), "its teacher has seen the rows without noise")
NO_STUDENT = {
    **dict.fromkeys(("model", "vocab", "cased"), "pruning makes the student"),
    "augment": "the model has no head for masked words",
    "find_learning_rate": "each round has a learning rate of its own",
}
READ_LIKE_TRAINING = {
    ("evaluate",): True,
    ("predict",): False,
    ("distill",): True,
    ("prune",): True,
    ("calibrate",): True,
    ("audit",): True,
}
"""The commands with a fine-tuned model, which read files like its training file; and whether these are labelled."""

SAME = {
    ("quickstart",): Same({quickstart: QuickstartOptions}),
    ("vocab", "train"): Same(
        {
            kbert.train_vocabulary: kbert.TrainVocabularyOptions,
            kbert.train_tokenizer: kbert.TrainVocabularyOptions,
        },
        different={"output": "required, since a command without a file would lose the vocabulary"},
    ),
    ("vocab", "extend"): Same({kbert.extend_vocabulary: kbert.ExtendVocabularyOptions}),
    ("vocab", "trim"): Same({kbert.trim_vocabulary: kbert.TrimVocabularyOptions}),
    ("corpus", "build"): Same(
        {kbert.build_corpus: kbert.BuildCorpusOptions},
        functions_alone={"runner_options": "a command has them as they are after --"},
        different={"workers": "all cores; a function starts no processes unless it is told to"},
    ),
    ("mask-pii",): Same({kbert.mask_pii: kbert.MaskPiiOptions}),
    ("pretrain",): Same(
        {kbert.pretrain: kbert.PretrainOptions},
        functions_alone={
            "callbacks": "objects of Python",
            "show_progress": "a command always shows it",
        },
    ),
    ("distill",): Same({kbert.distill: kbert.DistillOptions}, functions_alone=ONLY_PYTHON | OF_TEACHER),
    ("prune",): Same({kbert.prune: kbert.PruneOptions}, functions_alone=ONLY_PYTHON | OF_TEACHER | NO_STUDENT),
    ("calibrate",): Same({kbert.calibrate: kbert.CalibrateOptions}),
    ("audit",): Same({kbert.audit: kbert.AuditOptions}),
    ("launch",): Same({kbert.launch: kbert.LaunchOptions}),
    ("evaluate",): Same(
        {
            kbert.load: kbert.LoadOptions,
            Predictor.evaluate: kbert.EvaluateOptions,
            kbert.evaluate_pretraining: kbert.EvaluatePretrainingOptions,
        },
    ),
    ("predict",): Same(
        {
            kbert.load: kbert.LoadOptions,
            Predictor.predict: kbert.PredictOptions,
            Predictor.predict_file: kbert.PredictOptions,
            kbert.predict_to_file: kbert.PredictToFileOptions,
            kbert.extract_features: kbert.ExtractFeaturesOptions,
        },
        command_alone={
            "features": "chooses kbert.extract_features",
            "pairs": "the second column of Predictor.predict",
        },
        functions_alone={
            "columns": "the texts, and the values of --pair",
            "pair_prompt": "only evaluations have prompts for second texts",
            "runner_options": "a command has them as they are after --",
        },
        different={
            "pooling": "the pooling of both kbert.load and kbert.extract_features",
            "output": "the output of kbert.predict_to_file and of kbert.extract_features; optional in the command",
            "output_format": "the command also prints the format of SQuAD",
        },
    ),
    ("explain",): Same(
        {kbert.load: kbert.LoadOptions, Predictor.explain: kbert.ExplainOptions},
        command_alone={
            "texts": "the first column of Predictor.explain",
            "pairs": "the second column of Predictor.explain",
            "html": "writes what Predictor.explain returns as a page",
        },
        functions_alone={
            "columns": "the texts, and the values of --pair",
            **dict.fromkeys(("pooling", "prompt", "prompt_name", "pair_prompt"), "for other tasks"),
            "abstain_below": "changes no explanation",
            **dict.fromkeys(option_infos(DecodingOptions), "the text that the model writes by default is explained"),
            **dict.fromkeys(("engine", "quantize"), "gradients are those of TensorFlow"),
        },
    ),
    ("report",): Same({kbert.write_report: kbert.WriteReportOptions}),
    ("index", "build"): Same({kbert.build_index: kbert.BuildIndexOptions}),
    ("search",): Same(
        {kbert.search: kbert.SearchOptions, kbert.measure_search: kbert.MeasureSearchOptions},
        command_alone={"texts": "the argument is named so, since --queries names a file"},
    ),
    ("convert",): Same(
        {kbert.convert: kbert.ConvertOptions},
        different={"from_": "the installed formats", "to": "the installed formats"},
    ),
    ("adapters", "merge"): Same({kbert.merge_adapter: kbert.MergeAdapterOptions}),
    ("adapters", "extract"): Same({kbert.extract_adapter: kbert.ExtractAdapterOptions}),
    ("export", "saved-model"): Same({kbert.export_saved_model: kbert.ExportSavedModelOptions}),
    ("export", "litert"): Same({kbert.export_litert: kbert.ExportLitertOptions}),
    ("bench", "litert"): Same({kbert.bench_litert: kbert.BenchLitertOptions}),
    ("serve",): Same({kbert.serve: kbert.ServeOptions}),
}
SEVERAL = {"seeds": kbert.FinetuneSeedsOptions, "folds": kbert.CrossValidateOptions}
SEARCH = dict.fromkeys(("trials", "search", "over"), kbert.TuneOptions)
TRAINING = {
    kbert.finetune: kbert.FinetuneOptions,
    kbert.finetune_seeds: kbert.FinetuneSeedsOptions,
    kbert.cross_validate: kbert.CrossValidateOptions,
    kbert.tune: kbert.TuneOptions,
}
NO_FUNCTION = {
    ("inspect",): "prints what kbert.Bundle.load has read",
    ("verify",): "prints what kbert.verify returns, which has no options",
    ("vocab", "inspect"): "prints tables of statistics",
    ("corpus", "inspect"): "prints examples and statistics",
    ("fill-mask",): "prints what Predictor.predict returns for a pretrained model",
}
PRINTING = {"as_json"}
"""Options of commands that decide how the returned value is printed."""
CALLBACKS = {"progress", "on_ready", "say"}
"""Parameters of functions that are called while they run; commands show this to people."""

FUNCTIONS = {**TRAINING, **{function: kind for same in SAME.values() for function, kind in same.functions.items()}}


def name_of(function):
    return function.__qualname__


def typed(path):
    """The options of a command by the names of their values, without --help."""
    return {
        param.name: param for param in COMMANDS[path].params if isinstance(param, click.Option) and param.name != "help"
    }


def arguments(path):
    """The names of the arguments of a command."""
    return [param.name for param in COMMANDS[path].params if isinstance(param, click.Argument)]


def own_parameters(function):
    """The parameters of a function that are no options of a class."""
    found = inspect.signature(function).parameters.values()
    fields = option_infos(FUNCTIONS[function])
    others = {*fields, *CALLBACKS, "self", "options"}
    return {each.name for each in found if each.kind is not each.VAR_KEYWORD and each.name not in others}


def check_option(param, info, infos, different=()):
    """The option of the command line says what the field says."""
    assert info.spelling in param.opts
    assert param.multiple == info.multiple
    assert param.help.startswith(command_text(info.help, infos))
    assert info.bounds in param.help
    assert param.is_flag == (info.kind is bool)
    if info.kind is bool and info.default is not False:
        assert param.secondary_opts == [info.off_spelling]
    if info.name in different:
        return
    if info.path and not info.multiple:
        assert isinstance(param.type, click.Path)
    elif not info.choices and not info.multiple and info.kind in (int, float, str):
        assert param.type == {int: click.INT, float: click.FLOAT, str: click.STRING}[info.kind]
    assert param.required == info.required
    if not info.required and not info.multiple:
        assert param.default == info.default
    if info.default_help:
        assert f"[default: {command_text(info.default_help, infos)}" in param.help
    elif not info.required and info.default not in (None, False, ()):
        assert f"[default: {'on' if info.default is True else info.default}" in param.help
    assert tuple(getattr(param.type, "choices", ())) == info.choices
    # The help says nothing else.
    assert re.fullmatch(r"(  \[[^\[\]]*\])?", param.help.removeprefix(command_text(info.help, infos)))


def test_every_command_is_compared():
    training = {(name, task) for name in ("finetune", "tune") for task in TRAINED}
    assert COMMANDS.keys() == SAME.keys() | NO_FUNCTION.keys() | training


@pytest.mark.parametrize("function", FUNCTIONS, ids=name_of)
def test_functions_have_the_fields_as_keywords(function):
    """The function has the fields as keywords, with their types and defaults, and documents them."""
    kind, parameters = FUNCTIONS[function], inspect.signature(function).parameters
    documented = " ".join(function.__doc__.split())
    for name, info in option_infos(kind).items():
        parameter = parameters[name]
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default == (inspect.Parameter.empty if info.required else info.default)
        assert parameter.annotation == info.annotation
        assert f" {name}: {info.help}" in documented
        assert info.details in documented
        assert info.help.endswith(".")
    assert parameters["options"].default is None


@pytest.mark.parametrize("kind", dict.fromkeys(FUNCTIONS.values()), ids=name_of)
def test_options_classes_are_public_and_documented(kind):
    home = kbert if kind.__name__ in kbert.__all__ else importlib.import_module(kind.__module__.rpartition(".")[0])
    assert kind.__name__ in home.__all__
    assert getattr(home, kind.__name__) is kind
    for name, info in option_infos(kind).items():
        assert re.search(rf"^    {name}: {re.escape(info.help.split()[0])}", kind.__doc__, re.MULTILINE), name
    # The class is named after its function.
    words = {re.sub(r"\W|_", "", function.__name__) for function, each in FUNCTIONS.items() if each is kind}
    assert kind.__name__.removesuffix("Options").lower() in words


SEVERAL_RUNS = (kbert.FinetuneSeedsOptions, kbert.CrossValidateOptions, kbert.TuneOptions)


@pytest.mark.parametrize("kind", [*dict.fromkeys(FUNCTIONS.values()), kbert.SourceSettings], ids=name_of)
def test_examples_of_options_classes_run(kind):
    found = doctest.DocTestFinder(recurse=False).find(kind, kind.__name__, globs={"kbert": kbert})
    # The classes for several runs of fine-tuning are those of one run, with a number.
    assert any(test.examples for test in found) or kind in SEVERAL_RUNS
    assert [doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed for test in found] == [0]


@pytest.mark.parametrize("kind", dict.fromkeys(FUNCTIONS.values()), ids=name_of)
def test_ranges_are_checked(kind):
    for name, info in option_infos(kind).items():
        outside = [info.above, info.below]
        outside += [] if info.minimum is None else [info.minimum - 1]
        outside += [] if info.maximum is None else [info.maximum + 1]
        for value in outside:
            if value is not None:
                with pytest.raises(OptionError, match=f"^{name} must be {info.bounds}"):
                    check_value(info, [info.element_kind(value)] if info.multiple else info.kind(value))
        if info.choices:
            with pytest.raises(OptionError, match=f"^{name} must be one of {', '.join(map(re.escape, info.choices))}"):
                check_value(info, "other")


@pytest.mark.parametrize("path", SAME, ids=" ".join)
def test_commands_have_the_options_of_their_functions(path):
    same, params = SAME[path], typed(path)
    infos = {}
    for kind in same.functions.values():
        infos |= {name: info for name, info in option_infos(kind).items() if name not in infos}
    reading, columns = {}, set()
    if path in READ_LIKE_TRAINING:
        labelled = READ_LIKE_TRAINING[path]
        reading = {name: info for name, info in all_reading_options().items() if labelled or not info.path}
        columns = {f"{role}_column" for role, column in all_columns().items() if labelled or not column.target}
        assert {name for name in params if name.endswith("_column")} == columns
        for name, info in reading.items():
            check_option(params[name], dataclasses.replace(info, default=None), all_reading_options())
    of_functions = set().union(*map(own_parameters, same.functions)) | infos.keys()
    of_command = {*params, *arguments(path)} - PRINTING - reading.keys() - columns
    # The search is the only command with several functions that name the same argument.
    assert of_command - same.command_alone.keys() == of_functions - same.functions_alone.keys()
    assert same.command_alone.keys() <= of_command
    assert same.functions_alone.keys() <= of_functions
    for name, info in infos.items():
        if name not in same.functions_alone:
            check_option(params[name], info, infos, same.different)
            assert getattr(params[name], "section", None) == info.section
    for name in same.different:
        with pytest.raises(AssertionError):  # the exception is still needed
            check_option(params[name], infos[name], infos)


def test_only_python_has_options_that_a_command_cannot_have():
    alone = {name for kind in FUNCTIONS.values() for name, info in option_infos(kind).items() if not info.command}
    # --over is declared by kbert.cli.tune, which turns its values into the mapping.
    assert alone == {"callbacks", "show_progress", "runner_options", "fold", "over", *OF_TEACHER, *NO_STUDENT}


@pytest.mark.parametrize("task", TRAINED)
@pytest.mark.parametrize("name", ["finetune", "tune"])
def test_finetune_and_tune_have_the_fields_as_options(name, task):
    params, info = typed((name, task)), TASKS[task]
    infos = task_option_infos(info)
    several = SEVERAL if name == "finetune" else SEARCH
    if name == "tune":
        for single in SINGLE_RUN:
            del infos[single]
    own = {f"{column.role}_column" for column in info.columns} | info.option_infos.keys()
    shown = {name for name, info in infos.items() if info.command}
    assert params.keys() == shown | own | several.keys()
    for option in shown:
        check_option(params[option], infos[option], infos)
        assert params[option].section == infos[option].section != ""
    for option, declared in info.option_infos.items():
        check_option(params[option], declared, info.option_infos)
    for option, kind in several.items():
        declared = option_infos(kind)[option]
        assert params[option].help.startswith(command_text(declared.help, option_infos(kind)))
        assert declared.bounds in params[option].help
        assert params[option].section == declared.section == "Run"


def test_commands_without_a_function_share_what_others_declare():
    sources = option_infos(kbert.SourceSettings)
    for name, info in sources.items():
        check_option(typed(("vocab", "inspect"))[name], info, sources)
    corpus = option_infos(kbert.PretrainOptions)
    for name in ("vocab", "cased", "pack_to"):
        check_option(typed(("corpus", "inspect"))[name], corpus[name], corpus)


def test_declarations_of_click_are_few():
    """Options are fields of classes; the others are exceptions that the table above gives reasons for."""
    declared = click_options.DeclaredOption
    by_hand = {
        (" ".join(path), name)
        for path in SAME
        for name, param in typed(path).items()
        if not isinstance(param, declared) and not name.endswith("_column") and name not in PRINTING
    }
    assert by_hand == {
        *((("evaluate"), name) for name in ("data", "corpus")),
        *((("predict"), name) for name in ("input", "pairs", "features")),
        *((("search"), name) for name in ("queries", "judgements")),
        *((("explain"), name) for name in ("pairs", "html")),
    }


# === What is checked before TensorFlow starts ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vocab", "train", "FILE", "--output", "v.txt", "--size", 4], "--size must be at least 5. Received: --size 4"),
        (["vocab", "extend", "FOLDER", "--input", "FILE", "--output", "new", "--add", 0],
         "--add must be at least 1. Received: --add 0"),
        (["vocab", "trim", "FOLDER", "--corpus", "FILE", "--output", "new", "--minimum-frequency", 0],
         "--minimum-frequency must be at least 1. Received: --minimum-frequency 0"),
        (["distill", "FOLDER", "--model", "tiny", "--train", "FILE", "--output", "new", "--temperature", 0],
         "--temperature must be above 0. Received: --temperature 0.0"),
        (["prune", "FOLDER", "--train", "FILE", "--output", "new"],
         "expected what to keep: --layers, --intermediate or both. Received: neither"),
        (["corpus", "build", "FILE", "--vocab", "FILE", "--output", "new", "--sequence-length", 7],
         "--sequence-length must be at least 8. Received: --sequence-length 7"),
        (["corpus", "build", "FILE", "--vocab", "FILE", "--output", "new", "--workers", 0],
         "--workers must be at least 1. Received: --workers 0"),
        (["corpus", "build", "FILE", "--vocab", "FILE", "--output", "new", "--word-list", "FILE"],
         "--word-list has no effect without whole-word masking; add --whole-words or --spans"),
        (["corpus", "build", "FILE", "--vocab", "FILE", "--output", "new", "--feature-names", "original"],
         "--feature-names original needs --masking static, as the original release reads masked ids. "
         "Received: --masking dynamic"),
        (["launch", "--workers", 0, "--", "pretrain"], "--workers must be at least 1. Received: --workers 0"),
        (["evaluate", "FOLDER", "--data", "FILE", "--batch-size", 0],
         "--batch-size must be at least 1. Received: --batch-size 0"),
        (["evaluate", "FOLDER", "--corpus", "FOLDER", "--text-column", "x", "--faithfulness"],
         "expected --data FILE beside --text-column --faithfulness. Received: --corpus; leave --text-column "
         "--faithfulness out"),
        (["evaluate", "FOLDER", "--data", "FILE", "--explained-examples", 3],
         "--explained-examples is for --faithfulness. Received: no --faithfulness; add it"),
        (["evaluate", "FOLDER", "--data", "FILE", "--precision", "bfloat16"],
         "--precision is for --corpus FOLDER. Received: --precision bfloat16; leave it out"),
        (["predict", "FOLDER", "a", "--batch-size", 0], "--batch-size must be at least 1. Received: --batch-size 0"),
        (["predict", "FOLDER", "a", "--features", "--output", "v.npy", "--sequence-length", 4],
         "--sequence-length must be at least 5. Received: --sequence-length 4"),
        (["index", "build", "FOLDER", "--input", "FILE", "--output", "new", "--skip-bad", -1],
         "--skip-bad must be at least 0. Received: --skip-bad -1"),
        (["search", "FOLDER", "a", "--top", 0], "--top must be at least 1. Received: --top 0"),
        (["search", "FOLDER", "a", "--depth", 3],
         "expected --rerank MODEL beside --depth. Received: no --rerank; leave --depth out, or add it"),
        (["search", "FOLDER", "--queries", "FILE", "--judgements", "FILE", "--top", 3],
         "--top is for QUERYs. Received: --judgements, whose metrics have their own depths; leave it out"),
        (["export", "saved-model", "FOLDER", "--output", "new", "--version", 0],
         "--version must be at least 1. Received: --version 0"),
        (["export", "litert", "FOLDER", "--output", "new.tflite", "--sequence-length", 4],
         "--sequence-length must be at least 5. Received: --sequence-length 4"),
        (["serve", "FOLDER", "--rest-port", 65536],
         "--rest-port must be from 0 to 65535. Received: --rest-port 65536"),
        (["serve", "FOLDER", "--poll-seconds", -1], "--poll-seconds must be at least 0. Received: --poll-seconds -1.0"),
        (["serve"],
         "the models must be named in one way: FOLDER, --model-base-path or --model-config-file. Received: none of "
         "these"),
        (["serve", "FOLDER", "--port=0", "--rest_api_port=0"],
         "one of --rest and --grpc must be on. Received: neither"),
    ],
)  # fmt: skip
def test_invalid_options_of_commands_are_refused_first(tmp_path, monkeypatch, arguments, message):
    (tmp_path / "FILE").write_text("text\n")
    (tmp_path / "FOLDER").mkdir()
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert (result.exit_code, result.output) == (2, f"Error: {message}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FILE", "FOLDER"]


def program(*arguments):
    """Runs the program; gives its exit code, its seconds, its standard error, and whether TensorFlow was imported."""
    code = (
        "import sys\n"
        "from kbert.cli.main import main\n"
        "try: main()\n"
        "finally: print('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    began = time.monotonic()
    result = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    return result.returncode, time.monotonic() - began, result.stderr, result.stdout.splitlines()[-1] == "True"


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("finetune", ["--learning-rate", 0], "--learning-rate must be above 0. Received: --learning-rate 0.0"),
        ("finetune", ["--epochs", 0], "--epochs must be above 0. Received: --epochs 0.0"),
        ("finetune", ["--batch-size", 0], "--batch-size must be at least 1. Received: --batch-size 0"),
        ("finetune", ["--seeds", 1], "--seeds must be at least 2. Received: --seeds 1"),
        ("finetune", ["--seeds", 2, "--power", 0], "--power must be above 0. Received: --power 0.0"),
        ("tune", ["--trials", 0], "--trials must be at least 1. Received: --trials 0"),
        ("pretrain", ["--steps", 0], "--steps must be at least 1. Received: --steps 0"),
        ("pretrain", ["--steps", 5, "--profile", "3:3"], "--profile must be START:STOP with 0 <= START < STOP. "
                                                         "Received: --profile 3:3"),
        ("pretrain", [], "give either --steps or --phase. Received: no --steps, no --phase"),
        ("pretrain", ["--steps", 5, "--evaluate-every", 2],
         "--evaluate-every needs --validation-corpus. Received: --evaluate-every 2 alone"),
    ],
)  # fmt: skip
@pytest.mark.long
def test_invalid_options_are_refused_before_tensorflow_starts(tmp_path, command, options, message):
    table = tmp_path / "table.csv"
    table.write_text("text,label\n")
    files = ["--train", table, "--validation", table] if command != "pretrain" else ["--corpus", tmp_path]
    task = [] if command == "pretrain" else ["classification"]
    arguments = [command, *task, *files, "--model", "tiny", "--output", tmp_path / "run", *options]
    code, seconds, error, imported = program(*arguments)
    assert (code, error) == (2, f"Error: {message}\n")
    assert not imported
    assert seconds < 5  # a second on an idle machine; TensorFlow alone takes several


@pytest.mark.parametrize("arguments", [["finetune", "classification"], ["tune", "ranking"], ["pretrain"]])
def test_help_needs_no_tensorflow(arguments):
    code, seconds, error, imported = program(*arguments, "--help")
    assert (code, error, imported) == (0, "", False)
    assert seconds < 5

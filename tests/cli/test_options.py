"""The command line, the functions and the options classes agree on every option."""

import inspect
import subprocess
import sys
import time

import click
import pytest

import kbert
from kbert.cli.main import main
from kbert.options import command_text, option_infos
from kbert.tasks.catalogue import TASKS
from kbert.training.options import (
    CrossValidateOptions,
    FinetuneOptions,
    FinetuneSeedsOptions,
    PretrainOptions,
    TuneOptions,
    task_option_infos,
)

TRAINED = [name for name, info in TASKS.items() if info.trainable]


def command(*path):
    """A command of the program, such as ("corpus", "build")."""
    found = main
    for name in path:
        found = found.get_command(click.Context(found), name)
    return found


def typed(path):
    """The options of a command by the names of their values, without --help."""
    return {param.name: param for param in command(*path).params if param.name != "help"}


def check_option(param, info, infos):
    """The option of the command line says what the field says."""
    assert info.spelling in param.opts
    assert param.required == info.required
    assert param.multiple == info.multiple
    if not info.required and not info.multiple:
        assert param.default == info.default
    assert param.help.startswith(command_text(info.help, infos))
    if info.default_help:
        assert f"[default: {command_text(info.default_help, infos)}" in param.help
    elif not info.required and info.default not in (None, False, ()):
        assert f"[default: {'on' if info.default is True else info.default}" in param.help
    assert info.bounds in param.help
    assert tuple(getattr(param.type, "choices", ())) == info.choices
    assert param.is_flag == (info.kind is bool)
    assert param.section == info.section != ""


def check_function(function, kind):
    """The function has the fields as keywords, with their defaults, and documents them."""
    parameters = inspect.signature(function).parameters
    for name, info in option_infos(kind).items():
        parameter = parameters[name]
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default == (inspect.Parameter.empty if info.required else info.default)
        assert parameter.annotation == info.annotation
        documented = " ".join(function.__doc__.split())
        assert f" {name}: {info.help}" in documented
        assert info.details in documented
        assert info.help.endswith(".")
    assert parameters["options"].default is None


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (kbert.pretrain, PretrainOptions),
        (kbert.finetune, FinetuneOptions),
        (kbert.finetune_seeds, FinetuneSeedsOptions),
        (kbert.cross_validate, CrossValidateOptions),
        (kbert.tune, TuneOptions),
    ],
)
def test_functions_have_the_fields_as_keywords(function, kind):
    check_function(function, kind)


def test_pretrain_has_the_fields_as_options():
    params, infos = typed(["pretrain"]), option_infos(PretrainOptions)
    shown = {name: info for name, info in infos.items() if info.command}
    assert params.keys() == shown.keys()
    for name, info in shown.items():
        check_option(params[name], info, infos)


@pytest.mark.parametrize("task", TRAINED)
@pytest.mark.parametrize("name", ["finetune", "tune"])
def test_finetune_and_tune_have_the_fields_as_options(name, task):
    params, info = typed([name, task]), TASKS[task]
    infos = task_option_infos(info)
    if name == "finetune":
        several = {"seeds": FinetuneSeedsOptions, "folds": CrossValidateOptions}
    else:
        several = dict.fromkeys(("trials", "search", "over"), TuneOptions)
        del infos["find_learning_rate"]
    own = {f"{column.role}_column" for column in info.columns} | info.option_infos.keys()
    shown = {name for name, info in infos.items() if info.command}
    assert params.keys() == shown | own | several.keys()
    for option in shown:
        check_option(params[option], infos[option], infos)
    for option, declared in info.option_infos.items():
        check_option(params[option], declared, info.option_infos)
    for option, kind in several.items():
        assert params[option].help.startswith(command_text(option_infos(kind)[option].help, option_infos(kind)))
        assert params[option].section == "Run"


SOURCE = {"nfc", "invalid_utf8", "text_field", "format", "skip_bad", "encoding", "delimiter", "quoting"}
USE = {"task", "pooling", "prompt", "prompt_name"}
OTHERS = {
    # command: (function, what the command alone has, what the function alone has, other names in the function)
    ("corpus", "build"): (kbert.build_corpus, set(), {"progress", "runner_options"}, {}),
    ("vocab", "train"): (kbert.train_vocabulary, {"output", *SOURCE}, {"source", "progress"}, {}),
    ("vocab", "extend"): (kbert.extend_vocabulary, {"as_json", *SOURCE}, {"source", "progress"}, {}),
    ("index", "build"): (kbert.build_index, set(), {"progress"}, {}),
    ("convert",): (kbert.convert, {"as_json"}, set(), {}),
    ("export", "saved-model"): (kbert.export_saved_model, {"pair", *USE}, {"use"}, {"run": "model"}),
    ("export", "litert"): (kbert.export_litert, {"pair", *USE}, {"use"}, {"run": "model"}),
    ("serve",): (kbert.serve, set(), {"on_ready"}, {}),
    ("launch",): (kbert.launch, set(), set(), {}),
}
"""The commands whose options are not declared in a class: they and their functions are compared."""

OTHER_DEFAULTS = {"workers"}
"""A command uses all cores; a function starts no processes unless it is told to."""


def default_of(param):
    """The default of an option; Click has had None, and then a mark of its own, where there is none."""
    default = param.get_default(click.Context(main))
    return default if isinstance(default, (str, int, float, tuple)) else None


@pytest.mark.parametrize("path", OTHERS, ids=" ".join)
def test_other_commands_have_the_options_of_their_functions(path):
    function, typed_alone, function_alone, renamed = OTHERS[path]
    params, parameters = typed(path), inspect.signature(function).parameters
    shared = params.keys() - typed_alone
    assert {renamed.get(name, name) for name in shared} == parameters.keys() - function_alone
    for name in shared - renamed.keys() - OTHER_DEFAULTS:
        # Where the function has a default, it is that of the command.
        has_default = parameters[name].default is not inspect.Parameter.empty
        if has_default and not params[name].required and not params[name].multiple:
            assert default_of(params[name]) == parameters[name].default, name


# === What is checked before TensorFlow starts ===


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

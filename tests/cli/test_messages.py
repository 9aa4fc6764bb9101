"""Every option that a message names exists in the commands that can print it."""

import ast
import functools
import importlib
import re
from pathlib import Path

import click
import pytest

import kbert
from kbert.cli.main import main
from kbert.options import Options, option_infos
from kbert.tasks.catalogue import TASKS

PACKAGE = Path(kbert.__file__).parent
TRAINED = [name for name, info in TASKS.items() if info.trainable]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]")


# === The commands, and the modules that each of them imports ===


def commands(group=main, path=()):
    """All commands by their words, such as "corpus build"."""
    found = {}
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            found |= commands(command, (*path, name))
        else:
            found[" ".join((*path, name))] = command
    return found


COMMANDS = commands()
OPTIONS = {
    name: {"--help"} | {spelling for param in command.params for spelling in (*param.opts, *param.secondary_opts)}
    for name, command in COMMANDS.items()
}


@functools.cache
def tree_of(module):
    path = PACKAGE.parent.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def exists(module):
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def imports_of(node):
    """The modules of kbert that are imported anywhere in a node, without those for types alone."""
    found = set()
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING":
            continue
        if isinstance(each, ast.Import):
            found |= {alias.name for alias in each.names if alias.name.startswith("kbert.")}
        elif isinstance(each, ast.ImportFrom) and (each.module or "").startswith("kbert"):
            for alias in each.names:
                whole = f"{each.module}.{alias.name}"
                found.add(whole if exists(whole) else each.module)
        found |= imports_of(each)
    return found


def calls_of(function, module):
    """A function of a module, and the functions of the same module that it calls."""
    functions = {node.name: node for node in ast.walk(tree_of(module)) if isinstance(node, ast.FunctionDef)}
    found, new = {}, [function]
    while new:
        name = new.pop()
        if name in functions and name not in found:
            found[name] = functions[name]
            new += [node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)]
    return found.values()


def called_parts(functions, module):
    """The modules of kbert.cli whose functions or classes some functions of a module use."""
    used = {node.id for function in functions for node in ast.walk(function) if isinstance(node, ast.Name)}
    return {
        node.module
        for node in tree_of(module).body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("kbert.cli.")
        if used & {alias.name for alias in node.names}
    }


def modules_of(name):
    """The modules whose messages a command can print: those that it imports, and that these import."""
    callback = COMMANDS[name].callback
    functions = calls_of(callback.__name__, callback.__module__)
    new = set().union(*map(imports_of, functions), called_parts(functions, callback.__module__))
    if name.split()[0] in ("finetune", "tune"):  # the task is imported by its name
        new.add(TASKS[name.split()[1]].where.partition(":")[0])
    found = set()
    while new:
        module = new.pop()
        if module not in found:
            found.add(module)
            new |= imports_of(tree_of(module))
    return found


@functools.cache
def printers():
    """The commands that can print the messages of each module."""
    found = {}
    for name in COMMANDS:
        for module in modules_of(name):
            found.setdefault(module, set()).add(name)
    return found


# === The messages ===

TRAINING = ("pretrain", *(f"finetune {task}" for task in TRAINED))
CORPORA = ("corpus build", "vocab train", "vocab inspect", "vocab extend")
FILES = (*CORPORA, "evaluate", "predict", "finetune classification")
PRIVATE = tuple(f"finetune {name}" for name in TRAINED if "private" not in TASKS[name].unsupported)
ROUNDED = tuple(f"finetune {name}" for name in TRAINED if "quantize_aware" not in TASKS[name].unsupported)
MODELS = ("evaluate", "predict", "export saved-model", "export litert")
PROMPTED = ("evaluate", "predict", "export saved-model")
OUTPUTS = (*TRAINING, "corpus build", "vocab extend", "index build", "quickstart", "export saved-model")
WHERE = {
    # Modules that several commands use, and the commands that can print the message with the option.
    ("kbert.conversion.settings", "--cased"): ("convert",),
    ("kbert.conversion.settings", "--gelu"): ("convert",),
    ("kbert.conversion.settings", "--uncased"): ("convert",),
    ("kbert.corpus.reading.foreign_records", "--corpus"): ("pretrain",),
    ("kbert.corpus.reading.foreign_records", "--phase"): ("pretrain",),
    ("kbert.corpus.reading.open_source", "--vocab"): ("pretrain", "corpus inspect"),
    ("kbert.corpus.reading.own_corpus", "--vocab"): ("pretrain", "corpus inspect"),
    ("kbert.corpus.reading.open_source", "--cased"): ("pretrain", "corpus inspect"),
    ("kbert.corpus.reading.foreign_records", "--skip-corrupt"): ("pretrain",),
    ("kbert.corpus.reading.own_corpus", "--skip-corrupt"): ("pretrain",),
    ("kbert.corpus.reading.source", "--skip-corrupt"): ("pretrain",),
    ("kbert.files.folders", "--output"): OUTPUTS,
    ("kbert.model_folder.adapters.base", "--base"): ("adapters merge",),  # the command that the message names
    ("kbert.model_folder.bundle", "--resume"): TRAINING,  # the command of the unfinished run
    ("kbert.model_folder.tokenizer", "--cased"): ("corpus build", "corpus inspect", "pretrain", "finetune ranking"),
    ("kbert.model_folder.tokenizer", "--strip-accents"): ("corpus build", "vocab inspect"),
    ("kbert.model_folder.tokenizer", "--keep-accents"): ("corpus build", "vocab inspect"),
    ("kbert.model_folder.tokenizer", "--vocab"): ("corpus build", "corpus inspect", "pretrain", "finetune ranking"),
    ("kbert.prediction.text_columns", "--pair"): ("predict",),
    ("kbert.quickstart.run", "--rest-port"): ("serve",),  # what to do next
    ("kbert.retrieval.index", "--model"): ("search",),
    ("kbert.retrieval.embedder", "--pooling"): ("index build",),
    ("kbert.retrieval.build", "--similarity"): ("index build",),
    ("kbert.serving.server", "--rest-port"): ("serve",),
    ("kbert.serving.grpc_api.server", "--grpc-port"): ("serve",),
    # Corpora and tasks read files by the same modules; what reads documents says --text-field.
    ("kbert.sources.delimited", "--delimiter"): FILES,
    ("kbert.sources.delimited", "--format"): FILES,
    ("kbert.sources.delimited", "--quoting"): FILES,
    ("kbert.sources.delimited", "--text-field"): CORPORA,
    ("kbert.sources.document", "--invalid-utf8"): CORPORA,
    ("kbert.sources.json_lines", "--format"): FILES,
    ("kbert.sources.json_lines", "--skip-bad"): CORPORA,
    ("kbert.sources.json_lines", "--text-field"): CORPORA,
    ("kbert.sources.parquet", "--skip-bad"): CORPORA,
    ("kbert.sources.parquet", "--text-field"): CORPORA,
    ("kbert.sources.table_format", "--encoding"): FILES,
    ("kbert.sources.text", "--document-separator"): ("corpus build",),
    ("kbert.tasks.protocol.answering", "--pair"): ("predict",),  # model cards show `kbert predict`
    ("kbert.tasks.prompts", "--prompt"): PROMPTED,
    ("kbert.tasks.factories", "--pooling"): MODELS,
    ("kbert.tasks.generation", "--sequence-length"): ("finetune generation",),
    ("kbert.tasks.generation", "--skip-bad"): ("finetune generation",),
    ("kbert.tasks.rows.generation_rows", "--max-target"): ("finetune generation",),
    ("kbert.tasks.rows.generation_rows", "--sequence-length"): ("finetune generation",),
    ("kbert.tasks.labels", "--skip-bad"): ("evaluate", "calibrate", "finetune classification", "finetune multilabel"),
    ("kbert.tasks.labels", "--missing-labels"): ("finetune classification", "finetune multilabel"),
    ("kbert.tasks.multilabel", "--label-columns"): ("evaluate", "finetune multilabel"),
    ("kbert.tasks.multilabel", "--label-separator"): ("evaluate", "finetune multilabel"),
    ("kbert.tasks.multiple_choice", "--pair"): ("predict",),
    ("kbert.tasks.question_answering", "--max-answer-length"): ("finetune question-answering",),
    ("kbert.tasks.question_answering", "--pair"): ("predict",),
    ("kbert.tasks.question_answering", "--stride"): ("finetune question-answering",),
    ("kbert.tasks.ranking", "--pair"): ("predict",),
    ("kbert.tasks.tagging", "--tag-scheme"): ("finetune tagging",),
    ("kbert.tasks.text_task", "--pair"): ("predict",),
    # Semantic roles have the spans of tagging, but not its files.
    ("kbert.tasks.readers.conll", "--label-column"): ("evaluate", "finetune tagging"),
    ("kbert.tasks.readers.tag_schemes", "--strict-tags"): ("evaluate", "finetune tagging"),
    ("kbert.tasks.readers.tag_tables", "--sentence-column"): ("evaluate", "finetune tagging"),
    ("kbert.tasks.readers.tagged_words", "--tag-scheme"): ("finetune tagging",),
    ("kbert.tasks.readers.generation", "--target-ending"): ("evaluate", "finetune generation"),
    ("kbert.tasks.readers.judged_texts", "--documents"): ("evaluate", "finetune ranking", "finetune embedding"),
    ("kbert.tasks.readers.judged_texts", "--queries"): ("evaluate", "finetune ranking", "finetune embedding"),
    ("kbert.tasks.readers.kept_columns", "--keep-column"): ("predict",),
    ("kbert.tasks.readers.tables", "--delimiter"): ("evaluate", "predict", "finetune classification"),
    ("kbert.tasks.readers.tables", "--quoting"): ("evaluate", "predict", "finetune classification"),
    ("kbert.tasks.readers.tables", "--format"): ("evaluate", "predict", "finetune classification"),
    ("kbert.tasks.readers.retrieval_collections", "--id-column"): ("index build",),  # which alone names columns
    ("kbert.tasks.readers.retrieval_collections", "--text-column"): ("index build",),
    ("kbert.text.text_sample", "--strip-accents"): ("corpus build", "vocab train"),
    ("kbert.text.text_sample", "--keep-accents"): ("corpus build", "vocab train"),
    ("kbert.text.unreachable_entries", "--cased"): ("corpus build", "vocab inspect"),
    ("kbert.text.unreachable_entries", "--keep-accents"): ("corpus build", "vocab inspect"),
    ("kbert.text.unreachable_entries", "--vocab"): ("corpus build",),
    ("kbert.training.corpus_tokenizer", "--vocab"): ("pretrain",),
    ("kbert.training.data.task_examples", "--folds"): tuple(name for name in TRAINING if name != "pretrain"),
    ("kbert.training.evaluation", "--data"): ("evaluate",),
    ("kbert.training.private.gradients", "--adapter"): PRIVATE,
    ("kbert.training.private.gradients", "--private"): PRIVATE,
    ("kbert.training.data.augmentation", "--model"): ("distill", "finetune classification"),
    ("kbert.training.data.augmentation", "--synonyms"): ("distill", "finetune classification"),
    ("kbert.training.distillation.teacher", "--model"): ("distill",),
    # Pruning makes its student of the model that it is given.
    ("kbert.training.starting_point", "--cased"): (*TRAINING, "distill"),
    ("kbert.training.starting_point", "--model"): (*TRAINING, "distill"),
    ("kbert.training.starting_point", "--tokenizer"): tuple(f"finetune {name}" for name in TRAINED),
    ("kbert.training.starting_point", "--vocab"): (*TRAINING, "distill"),
    ("kbert.training.devices.launch", "--output"): TRAINING,  # the command that is launched
    ("kbert.training.devices.launch", "--resume"): TRAINING,
    ("kbert.training.devices.launch", "--strategy"): TRAINING,
    ("kbert.training.run_folder.runs", "--output"): TRAINING,  # `kbert report` reads the record alone
    ("kbert.training.run_folder.runs", "--resume"): TRAINING,
}
"""The commands that print a message with an option, where these are not all that import its module."""
NO_MESSAGES = ("kbert.tasks.catalogue", "kbert.report.charts", "kbert.report.page")
"""Modules with other strings: styles, and declarations of options."""


def declares_options(module):
    """Whether a module declares options, which tests/cli/test_options.py compares with the commands."""
    return module.rpartition(".")[2].endswith("options") or any(
        module.startswith(f"{folder}.") for folder in ("kbert.options", "kbert.training.options")
    )


def strings_of(node):
    """The strings in a node that are no documentation, with {} in place of values."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
            continue
        if isinstance(each, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in each.values)
            for part in each.values:
                if isinstance(part, ast.FormattedValue):
                    yield from strings_of(part)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
        else:
            yield from strings_of(each)


def modules():
    """The modules of the package whose strings are messages, or texts of help."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        if module not in NO_MESSAGES:
            yield module


def messages():
    """(module, message) of each string that names an option, but for those of the command line itself."""
    for module in modules():
        if not module.startswith("kbert.cli.") and not declares_options(module):
            for text in strings_of(tree_of(module)):
                if OPTION.search(text):
                    yield module, text


def with_commands(text):
    """(option, the commands in front of it, as in `kbert pretrain --steps`) for each option of a message."""
    rest = text
    for of_another_program in ("tensorboard --logdir", "its flag --prefer_tflite_model"):
        rest = rest.replace(of_another_program, "")
    for words in re.findall(r"kbert [a-z][^`\n]*", text):
        rest = rest.replace(words, "")
        words = words.removeprefix("kbert ")
        named = [name for name in COMMANDS if f"{words} ".startswith(f"{name} ")]
        named = named or [name for name in COMMANDS if name.split()[0] == words.split()[0]]
        yield from ((option, named) for option in OPTION.findall(words))
    yield from ((option, None) for option in OPTION.findall(rest))


def unknown_options(module, text):
    """The options in a message that a command which prints it does not have, with these commands."""
    for option, named in with_commands(text):
        commands = named or WHERE.get((module, option)) or printers().get(module, ())
        lacking = sorted(name for name in commands if option not in OPTIONS[name])
        # A message may name commands as a whole, such as `kbert finetune`, of which some have the option.
        if not commands or (len(lacking) == len(commands) if named else lacking):
            yield option, lacking


MESSAGES = [pytest.param(*each, id=f"{each[0]}-{number}") for number, each in enumerate(messages())]


@pytest.mark.parametrize(("module", "text"), MESSAGES)
def test_options_in_messages_exist(module, text):
    assert list(unknown_options(module, text)) == [], text


def test_messages_are_found():
    found = dict.fromkeys(module for module, _ in messages())
    assert "kbert.training.pretraining.plan" in found
    assert len(found) > 40
    # The advice of pretraining would be wrong in fine-tuning, which has no such option.
    assert list(unknown_options("kbert.training.finetuning.training", "go around it with --on-spike rewind")) == [
        ("--on-spike", sorted(name for name in COMMANDS if name.split()[0] in ("distill", "finetune", "prune", "tune")))
    ]
    assert list(unknown_options("kbert.training.pretraining.plan", "go around it with --on-spike rewind")) == []


def test_the_table_names_messages_that_there_are():
    pairs = {(module, option) for module, text in messages() for option in OPTION.findall(text)}
    assert WHERE.keys() <= pairs


# === The messages of the command line, and its help ===


def command_messages():
    """(commands, message) of each string of kbert.cli that names an option."""
    for module in modules():
        if module.startswith("kbert.cli.") and not declares_options(module):
            own = {name: each.callback for name, each in COMMANDS.items() if each.callback.__module__ == module}
            functions = {name: list(calls_of(callback.__name__, module)) for name, callback in own.items()}
            for node in tree_of(module).body[1:]:  # without the docstring
                users = [name for name, nodes in functions.items() if any(each in ast.walk(node) for each in nodes)]
                for text in strings_of(node):
                    if OPTION.search(text):
                        yield users or sorted(own) or sorted(printers().get(module, COMMANDS)), text


COMMAND_MESSAGES = [
    pytest.param(*each, id=f"{'-'.join(each[0][:1])}-{number}") for number, each in enumerate(command_messages())
]


@pytest.mark.parametrize(("users", "text"), COMMAND_MESSAGES)
def test_options_in_messages_of_commands_exist(users, text):
    for option, named in with_commands(text):
        for name in users if named is None else ():
            assert option in OPTIONS[name], (name, text)
        assert named is None or any(option in OPTIONS[name] for name in named), text


def test_messages_of_commands_are_found():
    texts = [each.values[1] for each in COMMAND_MESSAGES]
    assert any(text.startswith("--features needs --output FILE") for text in texts)
    assert "--features" in strings_of(ast.parse("f\"{'--features' if chosen else ''} alone\""))


@pytest.mark.parametrize("name", COMMANDS)
def test_options_in_help_exist(name):
    command = COMMANDS[name]
    for text in (command.help, *(getattr(param, "help", None) or "" for param in command.params)):
        text = re.sub(r" -- --.*", "", text, flags=re.DOTALL)  # options of Apache Beam
        for option, named in with_commands(text):
            assert any(option in OPTIONS[each] for each in named or [name]), text


# === Messages that spell an option by its name, as in Python or as on the command line ===


def spelled():
    """(module, name) of each option that a message names by `spell("name")`."""
    for module in modules():
        for node in ast.walk(tree_of(module)):
            match node:
                case ast.Call(func=ast.Name(id="spell"), args=[ast.Constant(value=name), *_]):
                    yield module, name


NAMES = {name: {param.name for param in command.params} for name, command in COMMANDS.items()}
IN_PYTHON_ALONE = {"callbacks", "over", "keep_columns"}
"""Options of messages that only Python programs see."""
SPELLED = {
    # Modules that several commands use, and the commands that can print the message with the option.
    "kbert.prediction.explanation.explainer": ("explain",),
    "kbert.prediction.input_files": ("predict",),
    "kbert.prediction.loading": PROMPTED,
    "kbert.retrieval.build": ("index build",),
    "kbert.serving.server_settings": ("serve",),
    "kbert.sources.settings": CORPORA,
    "kbert.text.tokenizer_files.writing": ("vocab train",),
    "kbert.training.adapter": TRAINING,
    "kbert.training.calibration": ("finetune classification", "finetune multiple-choice"),
    "kbert.training.private.plan": PRIVATE,
    "kbert.training.quantize_aware": ROUNDED,
    "kbert.training.run_folder.runs": TRAINING,
}


def fields_of(module):
    """The options of the classes that a module declares, and those that all subclasses of a class have."""
    values = vars(importlib.import_module(module)).values()
    kinds = [each for each in values if isinstance(each, type) and issubclass(each, Options)]
    fields = set()
    for kind in kinds:
        if kind.__module__ == module:
            fields |= option_infos(kind).keys()
            fields |= set.intersection(*[set(option_infos(each)) for each in kind.__subclasses__()] or [set()])
    return fields


@pytest.mark.parametrize(("module", "name"), sorted(set(spelled())))
def test_options_that_are_spelled_exist(module, name):
    if declares_options(module):
        assert name in fields_of(module)
    else:
        users = SPELLED.get(module) or printers()[module]
        assert name in IN_PYTHON_ALONE or [user for user in sorted(users) if name not in NAMES[user]] == []


def test_spelled_options_are_found():
    assert ("kbert.retrieval.search", "rerank") in set(spelled())
    assert len(set(spelled())) > 20

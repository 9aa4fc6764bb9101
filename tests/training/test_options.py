import pytest

from kbert.errors import UsageError
from kbert.options import OptionError, check_value, option_infos
from kbert.tasks.catalogue import TASKS
from kbert.training.options import (
    SECTIONS,
    CrossValidateOptions,
    DistillOptions,
    FinetuneOptions,
    FinetuneSeedsOptions,
    PretrainOptions,
    TuneOptions,
    keyword_infos,
    task_option_infos,
)

FILES = {"model": "tiny", "train": "a.csv", "output": "run"}
CORPUS = {"model": "tiny", "corpus": "corpus", "output": "run"}
KINDS = (FinetuneOptions, FinetuneSeedsOptions, CrossValidateOptions, TuneOptions, PretrainOptions)


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_is_described(kind):
    for name, info in option_infos(kind).items():
        assert info.help.endswith("."), name
        assert info.section in SECTIONS, name
        assert info.required or info.default is not None or info.annotation != "", name
        if info.required:
            continue
        assert check_value(info, info.default) == info.default, name


@pytest.mark.parametrize("task", [name for name, info in TASKS.items() if info.trainable])
def test_options_of_tasks_have_names_of_their_own(task):
    info = TASKS[task]
    own = {f"{column.role}_column" for column in info.columns} | info.option_infos.keys()
    assert own & option_infos(TuneOptions).keys() == set()
    assert keyword_infos(info).keys() == own | option_infos(FinetuneOptions).keys()
    infos = task_option_infos(info)
    assert infos["train"].help == f"{info.data} to learn from."
    assert infos["main_metric"].choices == (*info.metrics, "loss")


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (FinetuneOptions, {"cluster": "slurm", "strategy": "one"}, r"^cluster requires strategy='multi-worker'\. "),
        (FinetuneOptions, {"frozen_encoder": True, "frozen_layers": 1}, r"^frozen_encoder freezes all layers; leave "),
        (FinetuneOptions, {"validation": "b", "fold": (0, 2)}, r"^give one of validation and validation_split\. "),
        (FinetuneOptions, {"find_learning_rate": True, "callbacks": [1]}, r"^callbacks are for training; leave them"),
        (
            FinetuneSeedsOptions,
            {"seeds": 2, "find_learning_rate": True},
            r"^find_learning_rate is for a single run; leave it out$",
        ),
        (
            FinetuneSeedsOptions,
            {"seeds": 2, "private": 3.0},
            r"^private holds for a single run: each further run on the same rows has an epsilon of its own, .*=3\.0$",
        ),
        (FinetuneOptions, {"delta": 1e-5}, r"^delta needs private, an epsilon\. Received: delta=1e-05$"),
        (
            FinetuneOptions,
            {"private": 3.0, "augment": "masked"},
            r"^private counts each row once, .*; leave augment ou",
        ),
        (
            FinetuneOptions,
            {"private": 3.0, "precision": "bfloat16"},
            r"^private needs float32, .*; leave precision out",
        ),
        (FinetuneOptions, {"private": 3.0, "remat": True}, r"^private needs the activations .* Received: remat=True$"),
        (FinetuneOptions, {"private": 3.0, "find_learning_rate": True}, r"^private does not show training losses, "),
        (FinetuneOptions, {"private": 3.0, "accumulation": 2}, r"^private divides each draw into batches of the batch"),
        (FinetuneOptions, {"private": 3.0, "strategy": "mirrored"}, r"^private trains on one device; give strategy="),
        (FinetuneOptions, {"private": 0.0}, r"^private must be above 0\. Received: private=0\.0$"),
        (DistillOptions, {"private": 3.0}, r"^private is not for students: a student learns from a teacher that has "),
        (CrossValidateOptions, {"folds": 2, "validation": "b.csv"}, r"^cross-validation holds out training rows; "),
        (TuneOptions, {"trials": 1, "search": "hopeful"}, r"^search must be one of random, bayesian, grid\. "),
    ],
)
def test_options_of_fine_tuning_that_do_not_fit(kind, values, message):
    with pytest.raises(OptionError, match=message):
        kind(**FILES, **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"^give either steps or phases\. Received: steps=None, phases=\[\]$"),
        ({"steps": 4, "phases": [(16, 3)]}, r"^give either steps or phases\. "),
        ({"steps": 4, "warmup_steps": 5}, r"^warmup_steps must be at most the 4 steps\. Received: warmup_steps=5$"),
        ({"steps": 4, "evaluate_every": 2}, r"^evaluate_every needs validation_corpus\. "),
        ({"steps": 4, "profile": (3, 3)}, r"^profile must be START:STOP with 0 <= START < STOP\. "),
    ],
)
def test_options_of_pretraining_that_do_not_fit(values, message):
    with pytest.raises(UsageError, match=message):
        PretrainOptions(**CORPUS, **values)


def test_the_steps_of_all_phases():
    options = PretrainOptions(**CORPUS, phases=[(16, 3), (24, 4)])
    assert options.phases == ((16, 3), (24, 4))
    assert options.total_steps == 7
    assert options.remembered()["phases"] == [[16, 3], [24, 4]]


def test_what_is_remembered_names_no_files_of_examples():
    remembered = FinetuneOptions(**FILES, validation="b.csv").remembered()
    assert remembered["model"] == "tiny"
    assert {"train", "validation", "vocab", "synonyms", "output", "resume", "callbacks"} & remembered.keys() == set()

"""The numbers of steps and the learning rates that fine-tuning chooses, and the message about them."""

import pytest

from kbert.config import preset_config
from kbert.model_folder.bundle import Bundle
from kbert.text.tokenizer import Tokenizer
from kbert.training.finetuning.steps_and_rates import RunLength, describe_defaults, learning_rates
from kbert.training.options import FinetuneOptions
from kbert.training.starting_point import StartingPoint


@pytest.fixture
def preset(vocabulary):
    return StartingPoint("tiny", preset_config("tiny", len(vocabulary)), Tokenizer(vocabulary), None)


@pytest.fixture
def pretrained_start(preset):
    return StartingPoint(
        "folder", preset.config, preset.tokenizer, Bundle(preset.config, preset.tokenizer, {}, "BertModel")
    )


def options(**values):
    return FinetuneOptions(**{"model": "tiny", "train": "train.csv", "output": "run"} | values)


def test_an_incomplete_batch_is_a_step():
    assert (RunLength(100, 8, 2.0).steps, RunLength(100, 8, 2.0).epoch_steps) == (25, 13)


def test_a_run_has_at_least_one_step():
    assert (RunLength(3, 8, 0.1).steps, RunLength(3, 8, 0.1).epoch_steps) == (1, 1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"learning_rate": 1e-3}, (1e-3, 1e-3)),
        ({"learning_rate": 1e-4}, (1e-4, 8e-4)),
        ({"learning_rate": 1e-4, "head_learning_rate": 2e-4}, (1e-4, 2e-4)),
        ({}, (5e-4, 1e-3)),
        ({"adapter": "lora"}, (3e-3, 1e-3)),
        ({"private": 8.0}, (1e-3, 1e-3)),
    ],
)
def test_the_learning_rates_of_pretrained_weights(pretrained_start, given, expected):
    assert learning_rates(options(**given), pretrained_start) == expected


def test_random_weights_learn_at_one_rate(preset):
    assert learning_rates(options(), preset) == (0.0006, 0.0006)


def test_only_defaults_are_described(preset):
    length = RunLength(1600, 32, 10.0)
    given = options(learning_rate=1e-4, epochs=10)
    assert describe_defaults(given, preset, length, learning_rates(given, preset)) == []
    chosen = options(epochs=10)
    assert describe_defaults(chosen, preset, length, learning_rates(chosen, preset)) == [
        "learning rate 0.0006 (head 0.0006), 10 epochs of 1,600 rows, 500 steps "
        "(by default: --learning-rate, for random weights of width 128 and 2 layers)"
    ]

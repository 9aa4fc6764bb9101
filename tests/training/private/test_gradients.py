"""The clipped sums equal those of the gradients of single examples, computed one after the other."""

import numpy as np
import pytest
import tensorflow as tf

from kbert.errors import TrainingError
from kbert.model_folder.adapters.spec import AdapterSpec
from kbert.models.encoder import BertEncoder
from kbert.tasks.classification import ClassificationTask
from kbert.tasks.multilabel import MultilabelTask
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.ranking import RankingTask
from kbert.tasks.regression import RegressionTask
from kbert.tasks.relations import RelationsTask
from kbert.tasks.rows.word_labels import IGNORED
from kbert.tasks.summarization import SummarizationTask
from kbert.tasks.tagging import TaggingTask
from kbert.training.adapter import TrainedAdapter
from kbert.training.optimizers.frozen_layers import freeze_layers, freeze_tables
from kbert.training.private.gradients import clipped_gradients

LENGTHS = [3, 7, 5, 2]


def features(lengths, width=8, seed=0):
    mask = (np.arange(width) < np.array(lengths)[..., None]).astype(np.int32)
    rng = np.random.default_rng(seed)
    return {
        "input_word_ids": (rng.integers(5, 20, mask.shape) * mask).astype(np.int32),
        "input_mask": mask,
        "input_type_ids": mask * (np.arange(width) > 3).astype(np.int32),
    }


def classification():
    return ClassificationTask(["a", "b", "c"]), {**features(LENGTHS), "labels": np.array([0, 1, 2, 1], np.int32)}


def tagging():
    batch = features(LENGTHS)
    labels = np.where(batch["input_mask"] > 0, batch["input_word_ids"] % 3, IGNORED).astype(np.int32)
    return TaggingTask(["O", "B-P", "I-P"]), {**batch, "labels": labels}


def question_answering():
    positions = {f"{side}_positions": np.array([1, 2, 0, 1], np.int32) for side in ("start", "end")}
    return QuestionAnsweringTask(), {**features(LENGTHS), **positions}


def multilabel():
    labels = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], np.float32)
    return MultilabelTask(["x", "y"]), {**features(LENGTHS), "labels": labels}


def regression():
    return RegressionTask(mean=1.0, deviation=2.0), {**features(LENGTHS), "labels": np.array([1, 3, 2, 9], np.float32)}


def multiple_choice():
    choices = features([[3, 5, 2], [7, 2, 0], [4, 4, 4], [2, 6, 0]])  # some questions have two choices
    return MultipleChoiceTask(), {**choices, "labels": np.array([0, 1, 2, 1], np.int32)}


def ranking():
    gains = np.array([[1, 0, 0], [0, 2, -1], [0, 0, 1], [1, 0, -1]], np.float32)
    return RankingTask(), {**features([[3, 5, 2], [7, 2, 0], [4, 4, 4], [2, 6, 0]]), "gains": gains}


def relations():
    places = np.array([[0, 1], [2, 5], [1, 1], [0, 1]], np.int32)
    task = RelationsTask(["Other", "eats(e1,e2)"], "Other")
    return task, {**features(LENGTHS), "entity_positions": places, "labels": np.array([0, 1, 1, 0], np.int32)}


def summarization():
    labels = np.array([[1, -1, -1, -1], [0, -1, 1, -1], [1, -1, -1, 0], [0, -1, -1, -1]], np.float32)
    labels = np.pad(labels, [(0, 0), (0, 4)], constant_values=-1)
    return SummarizationTask(), {**features(LENGTHS), "labels": labels}


@pytest.fixture(scope="module")
def config(small_config):
    return small_config.replace(initializer_range=0.3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def built(config, task, *, adapter=None, skip_padding=True):
    if adapter is not None and adapter.startswith("bottleneck"):
        config = config.replace(bottleneck_size=4)
    model = task.build(BertEncoder(config, pooled=task.pooled, skip_padding=skip_padding))
    bindings = task.bindings(model)
    if adapter is not None:
        TrainedAdapter(AdapterSpec.parse(adapter), model, bindings, None)
        rng = np.random.default_rng(1)
        for variable in model.trainable_variables:
            variable.assign(variable + 0.1 * rng.normal(size=variable.shape))
    freeze_tables(model.encoder)
    return model


def sum_of_single_gradients(model, task, batch, counted, clip):
    """Returns the expected sums, and the norm of each gradient."""
    sums, norms = {}, []
    for index, factor in enumerate(counted):
        one = {name: values[index : index + 1] for name, values in batch.items()}
        with tf.GradientTape() as tape:
            loss_sums = task.loss_sums(model(one, training=True), one)
            loss = tf.add_n([loss_sums[name] for name in task.losses])
        values = [variable.value for variable in model.trainable_variables]
        gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        norms.append(float(tf.linalg.global_norm(gradients)))
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            clipped = factor * min(1.0, clip / max(norms[-1], 1e-30)) * np.asarray(gradient)
            sums[variable.path] = sums.get(variable.path, 0.0) + clipped
    return sums, norms


def compare(model, task, batch, clip):
    counted = np.array([1, 1, 0, 1], np.float32)
    batch = {name: tf.constant(values) for name, values in batch.items()}
    expected, norms = sum_of_single_gradients(model, task, batch, counted, clip)
    graph = tf.function(lambda batch, counted: clipped_gradients(model, task, batch, counted, clip), autograph=False)
    found = graph(batch, tf.constant(counted))
    assert found.keys() == expected.keys()
    largest = max(np.abs(gradient).max() for gradient in expected.values())
    for path, gradient in found.items():
        np.testing.assert_allclose(gradient, expected[path], rtol=1e-5, atol=1e-5 * largest, err_msg=path)
    return norms


TASKS = [
    classification, multilabel, regression, tagging, question_answering, multiple_choice, ranking, relations,
    summarization,
]  # fmt: skip


@pytest.mark.parametrize("make", TASKS)
@pytest.mark.long
def test_each_task(config, make):
    task, batch = make()
    norms = compare(built(config, task), task, batch, clip=0.5)
    assert max(norms) > 0.5


@pytest.mark.parametrize("skip_padding", [True, False])
@pytest.mark.parametrize("adapter", ["bitfit", "lora:r=2", "lora:r=3,targets=query+key+output", "bottleneck:4"])
@pytest.mark.long
def test_adapters(config, adapter, skip_padding):
    task, batch = classification()
    compare(built(config, task, adapter=adapter, skip_padding=skip_padding), task, batch, clip=0.2)


def test_only_large_gradients_are_clipped(config):
    task, batch = classification()
    model = built(config, task, skip_padding=False)
    norms = compare(model, task, batch, clip=1e9)
    compare(model, task, batch, clip=float(np.median(norms)))


def test_frozen_layers_have_no_gradients(config):
    task, batch = tagging()
    model = built(config, task)
    freeze_layers(model.encoder, 1)
    compare(model, task, batch, clip=0.5)


def test_weights_outside_of_recorded_layers_are_refused(config):
    task = TaggingTask(["O", "B-P", "I-P"], crf=True)
    model = built(config, task)
    batch = {name: tf.constant(values) for name, values in tagging()[1].items()}
    with pytest.raises(TrainingError, match=r"does not compute for crf/start_transitions, .*leave out the option"):
        clipped_gradients(model, task, batch, tf.ones([4]), 1.0)


def test_weights_that_are_used_twice_are_refused(config):
    task, batch = classification()
    model = built(config.replace(bottleneck_size=4), task)
    batch = {name: tf.constant(values) for name, values in batch.items()}
    with pytest.raises(TrainingError, match=r"used twice, .*output_norm.*; start from a model without them, to which"):
        clipped_gradients(model, task, batch, tf.ones([4]), 1.0)

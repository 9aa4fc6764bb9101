import numpy as np
import pytest

from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors
from kbert.tasks.factories import task_from_bundle
from kbert.tasks.text_task import Example
from kbert.text.graph.encoder import GraphEncoder
from kbert.training.pruning.importance import ImportanceMeter

OUTPUT = "bert.encoder.layer.{}.output.dense.weight"
EXAMPLES = [Example("the cat", target="good"), Example("a dog sat on", target="bad")] * 5


@pytest.fixture
def make_meter(classifier):
    """Makes the meter of a classifier, whose tensors a test may change before."""
    bundle = Bundle.load(classifier)
    task = task_from_bundle(bundle, classifier)

    def make(change=lambda tensors: None, limit=10):
        tensors = {name: np.array(tensor) for name, tensor in bundle.tensors.items()}
        change(tensors)
        model = task.build(BertEncoder(bundle.config))
        assign_tensors(task.bindings(model), tensors)
        rows = task.training_rows(EXAMPLES, GraphEncoder(bundle.tokenizer.to_graph(), 16))
        return ImportanceMeter(model, task, rows, limit=limit, sequence_length=16, pad_id=0, seed=0)

    return make


def test_neurons_without_effect_are_unimportant(make_meter):
    def change(tensors):
        tensors[OUTPUT.format(1)][:, [3, 7]] = 0.0

    importance = make_meter(change).neurons([0, 1])
    assert sorted(importance) == [0, 1]
    assert importance[0].shape == (64,)
    assert sorted(np.argsort(importance[1])[:2].tolist()) == [3, 7]
    assert importance[1][[3, 7]].tolist() == [0.0, 0.0]
    assert (np.delete(importance[1], [3, 7]) > 0).all()


@pytest.mark.long
def test_importance_is_what_the_loss_changes_by(make_meter):
    """The derivative of the loss along the outgoing weights of a neuron, which is its activation times gradient."""
    importance = make_meter().neurons([0, 1])[0]
    # One batch of eight and one of two, each with its own derivative: a single example has one.
    step, losses = 1e-2, []
    single = make_meter(limit=1)
    for sign in (1, -1):

        def change(tensors, sign=sign):
            tensors[OUTPUT.format(0)][:, 5] *= 1 + sign * step

        losses.append(make_meter(change, limit=1).loss([0, 1]))
    assert single.neurons([0, 1])[0][5] == pytest.approx(abs(losses[0] - losses[1]) / (2 * step), rel=0.02, abs=1e-5)
    assert importance[5] > 0


def test_the_loss_without_blocks_is_that_of_a_shorter_model(make_meter):
    meter = make_meter()
    both, first, second = meter.loss([0, 1]), meter.loss([0]), meter.loss([1])
    assert len({both, first, second}) == 3
    assert meter.blocks_to_keep(2) == [0, 1]
    assert meter.blocks_to_keep(1) == ([0] if first < second else [1])

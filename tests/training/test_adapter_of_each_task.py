"""The folder of an adapter gives the tensors of the model whose adapter it is, for the model of each task."""

import numpy as np
import pytest
from every_task import TASKS

from kbert.model_folder.adapters.spec import AdapterSpec
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.models.tensor_names import assign_tensors, encoder_bindings, read_tensors
from kbert.tasks.factories import task_from_bundle
from kbert.text.tokenizer import Tokenizer
from kbert.training.adapter import TrainedAdapter
from kbert.training.options import FinetuneOptions
from kbert.training.starting_point import starting_point


@pytest.fixture(scope="module")
def base(tmp_path_factory, vocabulary, small_config, random_tensors):
    folder = tmp_path_factory.mktemp("base")
    tensors = random_tensors(encoder_bindings(BertEncoder(small_config)))
    Bundle(small_config, Tokenizer(vocabulary), tensors, "BertModel").save(folder, "# A card\n")
    return folder


@pytest.mark.parametrize("spec", ["lora:r=2,targets=key+output", "bitfit", "bottleneck:8"])
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.long
def test_the_folder_gives_the_tensors_of_the_model(base, tmp_path, name, spec):
    options = FinetuneOptions(model=base, train="train.csv", output="run", adapter=spec)
    task, start = TASKS[name](), starting_point(base, None, False).with_settings(options)
    model = task.build(BertEncoder(start.config, pooled=task.pooled))
    bindings = task.bindings(model)
    encoder = {key: binding for key, binding in bindings.items() if key in start.bundle.tensors}
    assign_tensors(encoder, start.bundle.tensors)
    adapter = TrainedAdapter(AdapterSpec.parse(spec), model, bindings, start)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    bundle = Bundle(
        start.config,
        start.tokenizer,
        read_tensors(bindings),
        task.architecture,
        settings={"kind": "task", "task": task.settings()},
        foreign_config=task.foreign_config(),
    )
    adapter.save(tmp_path / "adapter", bundle, adapter.matrices())
    loaded = Bundle.load(tmp_path / "adapter")
    assert loaded.config == start.config
    assert loaded.architecture == task.architecture
    assert loaded.foreign_config == task.foreign_config()
    assert bundle.tensors.keys() <= loaded.tensors.keys()
    for key, tensor in bundle.tensors.items():
        np.testing.assert_allclose(loaded.tensors[key], tensor, rtol=1e-5, atol=1e-5)
    assert task_from_bundle(loaded, "the adapter").settings() == task.settings()

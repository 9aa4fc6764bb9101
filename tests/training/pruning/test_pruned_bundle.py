import numpy as np

from kbert.model_folder.bundle import Bundle
from kbert.training.pruning.pruned_bundle import pruned_bundle


def test_blocks_are_numbered_again_and_neurons_are_left_out(classifier, tmp_path):
    before = Bundle.load(classifier)
    after = pruned_bundle(before, {1: [5, 0, 63]})
    assert (after.config.num_hidden_layers, after.config.intermediate_size) == (1, 3)
    name = "bert.encoder.layer.{}.{}"
    kept = [0, 5, 63]
    for part, chosen in {
        "intermediate.dense.weight": lambda tensor: tensor[kept],
        "intermediate.dense.bias": lambda tensor: tensor[kept],
        "output.dense.weight": lambda tensor: tensor[:, kept],
        "output.dense.bias": lambda tensor: tensor,
        "attention.self.query.weight": lambda tensor: tensor,
    }.items():
        np.testing.assert_array_equal(after.tensors[name.format(0, part)], chosen(before.tensors[name.format(1, part)]))
    assert not any(".layer.1." in each for each in after.tensors)
    assert after.settings == before.settings
    after.save(tmp_path / "pruned", "# A card\n")
    assert Bundle.load(tmp_path / "pruned").config == after.config

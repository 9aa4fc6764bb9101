import numpy as np
import pytest

from kbert.errors import UsageError
from kbert.model_folder.bundle import Bundle
from kbert.models.encoder import BertEncoder
from kbert.training.finetune import finetune
from kbert.training.optimizers.frozen_layers import freeze_layers
from kbert.training.run_folder.checkpoints import Checkpoints


def trained(encoder):
    return {variable.path.split("/")[0] for variable in encoder.trainable_variables}


def test_what_is_frozen(small_config):
    config = small_config.replace(num_hidden_layers=3)
    for count, expected in ((0, {"embeddings", "block_0", "block_1", "block_2", "pooler"}), (2, {"block_2", "pooler"})):
        encoder = BertEncoder(config)
        freeze_layers(encoder, count)
        assert trained(encoder) == expected
    freeze_layers(encoder, 0, frozen_encoder=True)
    assert trained(encoder) == {"pooler"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frozen_layers": 2}, r"^frozen_layers must be from 0 to the model's 1 layers\. Received: frozen_layers=2$"),
        ({"frozen_layers": -1}, r"^frozen_layers must be at least 0\. "),
        ({"frozen_layers": 1, "frozen_encoder": True}, r"^frozen_encoder freezes all layers; leave frozen_layers out"),
    ],
)
def test_layers_that_there_are_not(tmp_path, cats_and_dogs, quick, options, message):
    with pytest.raises(UsageError, match=message):
        finetune("classification", output=tmp_path / "run", **cats_and_dogs, **quick, **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_frozen_weights_stay_and_a_resumed_run_ends_as_in_one_go(tmp_path, cats_and_dogs, quick):
    options = {"frozen_encoder": True, "checkpoint_every": 2, "epochs": 1}
    finetune("classification", output=tmp_path / "run", **cats_and_dogs, **quick | options)
    before, after = Bundle.load(quick["model"]).tensors, Bundle.load(tmp_path / "run").tensors
    moved = {name for name in before.keys() & after.keys() if not np.array_equal(before[name], after[name])}
    assert moved == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    slots = [name for name in checkpoints.load(3).arrays if name.startswith("optimizer/mean/")]
    assert sorted(name.split("/")[2] for name in slots) == ["head", "head", "pooler", "pooler"]
    whole = (tmp_path / "run" / "model.safetensors").read_bytes()
    (tmp_path / "run" / "checkpoints" / "step-00000003.safetensors").unlink()
    finetune("classification", output=tmp_path / "run", resume=True, **cats_and_dogs, **quick | options)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == whole

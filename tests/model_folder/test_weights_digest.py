import json

import numpy as np
import safetensors.numpy

from kbert.model_folder.adapters.adapter_hub import adapter_hub_config, stored_files
from kbert.model_folder.weights_digest import weights_sha256

DOWN = "bert.encoder.layer.0.output.bottleneck.down"


def test_the_weights_of_an_adapter_of_adapter_hub_and_of_its_head_count(tmp_path):
    folder = tmp_path / "adapter"
    (folder / "base").mkdir(parents=True)
    config = adapter_hub_config("base", reduction=2, act="relu", architecture="BertForQuestionAnswering", hidden_size=4)
    (folder / "adapter_config.json").write_text(json.dumps(config))

    def digest(adapter, head, base):
        tensors = {
            f"{DOWN}.weight": np.full((2, 4), adapter, np.float32),
            f"{DOWN}.bias": np.zeros(2, np.float32),
            "qa_outputs.bias": np.full(2, head, np.float32),
        }
        stored, head_config = stored_files(tensors, config, {"num_labels": 2})
        for name, values in stored.items():
            safetensors.numpy.save_file(values, folder / name)
        (folder / "head_config.json").write_text(json.dumps(head_config))
        safetensors.numpy.save_file({"x": np.float32([base])}, folder / "base/model.safetensors")
        return weights_sha256(folder)

    assert len({digest(1, 1, 1), digest(2, 1, 1), digest(1, 2, 1), digest(1, 1, 2), digest(1, 1, 1)}) == 4

import json

import numpy as np
import safetensors.numpy

from kbert.model_folder.weights_digest import weights_sha256


def test_the_weights_of_an_adapter_of_adapter_hub_and_of_its_head_count(tmp_path):
    folder = tmp_path / "adapter"
    (folder / "base").mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"config": {}, "model_name": "base"}))

    def digest(adapter, head, base):
        for file, value in (("adapter", adapter), ("model_head", head), ("base/model", base)):
            safetensors.numpy.save_file({"x": np.float32([value])}, folder / f"{file}.safetensors")
        return weights_sha256(folder)

    assert len({digest(1, 1, 1), digest(2, 1, 1), digest(1, 2, 1), digest(1, 1, 2), digest(1, 1, 1)}) == 4

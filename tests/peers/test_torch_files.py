"""Files that PyTorch writes: pytorch_model.bin of a model of Transformers, in each precision."""

import ml_dtypes
import numpy as np
import pytest

from kbert.errors import BundleError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.torch_files import TorchFile

torch = pytest.importorskip("torch")

DTYPES = {
    torch.float32: np.float32,
    torch.float16: np.float16,
    torch.bfloat16: ml_dtypes.bfloat16,
    torch.float64: np.float64,
}

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_state_dict(tmp_path, classifier, dtype):
    from safetensors.torch import load_file

    tensors = {name: tensor.to(dtype) for name, tensor in load_file(classifier / "model.safetensors").items()}
    module = torch.nn.Linear(3, 2).to(dtype)
    state = module.state_dict()  # with _metadata
    state.update(tensors)
    state["turned"] = torch.arange(6, dtype=dtype).reshape(2, 3).T
    state["parameter"] = torch.nn.Parameter(torch.ones(2, dtype=dtype))
    torch.save(state, tmp_path / "pytorch_model.bin")
    file = TorchFile(tmp_path / "pytorch_model.bin")
    assert file.keys() == list(state)
    for name, tensor in state.items():
        found = file.get_tensor(name)
        assert found.dtype == DTYPES[dtype]
        np.testing.assert_array_equal(found.astype(np.float64), tensor.detach().double().numpy())
    file.close()


def test_a_folder(tmp_path, classifier):
    import shutil

    from safetensors.torch import load_file

    folder = shutil.copytree(classifier, tmp_path / "model")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    expected, found = Bundle.load(classifier).tensors, Bundle.load(folder).tensors
    assert found.keys() == expected.keys()
    assert all(found[name].tobytes() == tensor.tobytes() for name, tensor in expected.items())


def test_the_older_format_is_named(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "x.bin", _use_new_zipfile_serialization=False)
    with pytest.raises(BundleError, match=r"was written by PyTorch before 1\.6"):
        TorchFile(tmp_path / "x.bin")


def test_optimizers_and_modules_are_refused(tmp_path):
    for content in (torch.nn.Linear(2, 2), {"optimizer": torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])}):
        torch.save(content, tmp_path / "x.bin")
        with pytest.raises(BundleError, match=r"but only tensors are read|expected a tensor"):
            TorchFile(tmp_path / "x.bin")

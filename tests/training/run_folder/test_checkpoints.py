import errno
import os

import numpy as np
import pytest

from kbert.errors import CheckpointError
from kbert.training.run_folder.checkpoints import Checkpoint, Checkpoints, read_arrays, write_arrays


def make(step):
    arrays = {
        "a/kernel": np.full((3, 4), step, np.float32),
        "seed": np.array([step, 7], np.int64),
        "scalar": np.float32(step),
        "empty": np.zeros((0, 2), np.float32),
    }
    return Checkpoint(step, arrays, {"window": {"loss": [0.5, step]}, "ends": {}})


def damage(path, position=-1):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "checkpoints", keep=2)


def no_warning(message):
    raise AssertionError(message)


def test_a_new_run_has_no_checkpoints(checkpoints):
    assert checkpoints.latest(no_warning) is None
    assert checkpoints.steps() == []


def test_round_trip(checkpoints):
    checkpoints.save(make(5))
    latest = checkpoints.latest(no_warning)
    assert (latest.step, latest.state) == (5, {"window": {"loss": [0.5, 5]}, "ends": {}})
    assert latest.arrays.keys() == make(5).arrays.keys()
    for name, array in make(5).arrays.items():
        np.testing.assert_array_equal(latest.arrays[name], array)
        assert latest.arrays[name].dtype == array.dtype


def test_the_last_two_are_kept(checkpoints):
    for step in (1, 2, 10):
        checkpoints.save(make(step))
    assert checkpoints.steps() == [2, 10]
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == [
        "step-00000002.safetensors",
        "step-00000010.safetensors",
    ]
    assert checkpoints.latest(no_warning).step == 10


def test_other_files_are_left_alone(checkpoints):
    checkpoints.save(make(1))
    for name in ("best.safetensors", ".best.safetensors.x.part", "step-3.txt"):
        (checkpoints.folder / name).write_bytes(b"x")
    for step in (2, 3):
        checkpoints.save(make(step))
    assert checkpoints.steps() == [2, 3]
    assert len(list(checkpoints.folder.iterdir())) == 5


def test_a_damaged_one_is_passed_over_with_a_warning(checkpoints):
    for step in (1, 2):
        checkpoints.save(make(step))
    damage(checkpoints.folder / "step-00000002.safetensors")
    warnings = []
    assert checkpoints.latest(warnings.append).step == 1
    (warning,) = warnings
    assert "step-00000002.safetensors is damaged" in warning
    assert warning.endswith("; trying the checkpoint before")


def test_all_damaged(checkpoints):
    for step in (1, 2):
        checkpoints.save(make(step))
        path = checkpoints.folder / f"step-{step:08d}.safetensors"
        path.write_bytes(path.read_bytes()[: 50 * step])
    warnings = []
    with pytest.raises(CheckpointError, match=r"^all 2 checkpoints in .* are damaged; start a new run$"):
        checkpoints.latest(warnings.append)
    assert len(warnings) == 2


def test_every_flipped_bit_is_found(tmp_path):
    path = tmp_path / "step.safetensors"
    checkpoint = make(3)
    header = {"step": 3, "state": checkpoint.state}
    write_arrays(path, checkpoint.arrays, header)
    content = path.read_bytes()
    undetected = []
    for position in range(len(content)):
        for bit in (0, 3, 6):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            path.write_bytes(changed)
            try:
                arrays, read = read_arrays(path)
            except CheckpointError:
                continue
            # A flip may change nothing that is said, such as white space; then all must be as it was.
            same = read == header and arrays.keys() == checkpoint.arrays.keys()
            if not same or any(
                arrays[name].dtype != array.dtype or not np.array_equal(arrays[name], array)
                for name, array in checkpoint.arrays.items()
            ):
                undetected.append((position, bit, read))
    assert undetected == []


def test_the_same_content_is_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_arrays(tmp_path / name, make(3).arrays, {"step": 3, "metrics": {"z": 1, "a": 2}})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_of_another_program(tmp_path):
    import safetensors.numpy

    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file({"a": np.zeros(2, np.float32)}, path)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        read_arrays(path)


def test_the_best_is_kept_beside_the_last(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step, score in ((1, 3.0), (2, 1.0), (3, None), (4, 2.0), (5, 1.0)):
        checkpoints.save(make(step), score)
    assert checkpoints.steps() == [2, 4, 5]
    assert checkpoints.best() == 2
    checkpoints.save(make(6), 0.5)
    assert checkpoints.steps() == [5, 6]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(make(1))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match=r"^the disk is full: the checkpoint of step 2 .* step 1 is kept\); "):
            checkpoints.save(make(2))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    checkpoints.save(make(2))
    assert checkpoints.steps() == [1, 2]


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    (tmp_path / ".step-00000001.safetensors.abc.part").write_bytes(b"half")
    Checkpoints(tmp_path).save(make(1))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.safetensors"]

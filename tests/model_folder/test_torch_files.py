import io
import pickle
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest

from kbert.errors import BundleError
from kbert.model_folder.torch_files import TorchFile
from kbert.model_folder.weights import Weights

STORAGES = {
    np.dtype(np.float32): "FloatStorage",
    np.dtype(np.float16): "HalfStorage",
    np.dtype(ml_dtypes.bfloat16): "BFloat16Storage",
    np.dtype(np.float64): "DoubleStorage",
    np.dtype(np.int64): "LongStorage",
    np.dtype(np.int32): "IntStorage",
    np.dtype(np.int16): "ShortStorage",
    np.dtype(np.int8): "CharStorage",
    np.dtype(np.uint8): "ByteStorage",
    np.dtype(np.bool_): "BoolStorage",
}
TENSORS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.bias": np.float16([1.5, -2]),
    "b": np.array([[2.5]], ml_dtypes.bfloat16),
    "c": np.float64([0.1]),
    "d.step": np.int64([7]),
}


# === A writer of PyTorch's format, instruction by instruction: PyTorch is no part of these tests ===


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value):
    return b"J" + struct.pack("<i", value) if -(2**31) <= value < 2**31 else pickle.dumps(value, 2)[2:-1]


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def group(*parts):
    return b"(" + b"".join(parts) + b"t"


ORDERED = name("collections", "OrderedDict") + b")R"


def storage(key, kind="FloatStorage", size=1):
    return group(text("storage"), name("torch", kind), text(key), text("cpu"), number(size)) + b"Q"


def tensor(key, shape, strides, offset=0, kind="FloatStorage", size=1):
    return (
        name("torch._utils", "_rebuild_tensor_v2")
        + group(
            storage(key, kind, size),
            number(offset),
            group(*map(number, shape)),
            group(*map(number, strides)),
            b"\x89",
            ORDERED,
        )
        + b"R"
    )


def program(entries):
    """A pickle of a dictionary: names, and the instructions of their values."""
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u."


def archive(path, content, data, root="archive", compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr(f"{root}/data.pkl", content)
        file.writestr(f"{root}/byteorder", "little")
        for key, value in data.items():
            file.writestr(f"{root}/data/{key}", value)
        file.writestr(f"{root}/version", "3\n")
    return path


def write_torch_file(path, tensors):
    """What `torch.save` writes of a state_dict."""
    entries, data = {}, {}
    for key, array in enumerate(tensors.values()):
        entries[list(tensors)[key]] = tensor(
            str(key),
            array.shape,
            [stride // array.itemsize for stride in np.ascontiguousarray(array).strides],
            kind=STORAGES[array.dtype],
            size=array.size,
        )
        data[str(key)] = np.ascontiguousarray(array).tobytes()
    return archive(path, program(entries), data)


def read(path):
    file = TorchFile(path)
    try:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    finally:
        file.close()


def refused(path, pattern):
    with pytest.raises(BundleError, match=pattern) as raised:
        read(path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600
    return str(raised.value)


# === What is read ===


def test_tensors_come_back_in_their_dtypes(tmp_path):
    path = write_torch_file(tmp_path / "pytorch_model.bin", TENSORS)
    found = read(path)
    assert list(found) == list(TENSORS)
    for key, array in TENSORS.items():
        assert found[key].dtype == array.dtype
        np.testing.assert_array_equal(found[key], array)
    file = TorchFile(path)
    assert [file.dtype(key) for key in TENSORS] == ["F32", "F16", "BF16", "F64", "int64"]
    assert file.shape("a.weight") == (2, 3)
    file.close()


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_])
def test_counters_of_training_are_no_weights(tmp_path, dtype):
    write_torch_file(tmp_path / "pytorch_model.bin", {"w": np.float32([1.5]), "steps": np.array([1], dtype)})
    assert dict(Weights(tmp_path)) == {"w": (1,)}


def test_views_of_one_storage(tmp_path):
    """A transposed tensor, a part of a storage, and the same tensor twice, as tied weights are."""
    data = np.arange(6, dtype=np.float32)
    entries = {
        "turned": tensor("0", (3, 2), (1, 3), size=6),
        "part": tensor("0", (2,), (1,), offset=4, size=6),
        "tied": tensor("0", (2, 3), (3, 1), size=6),
    }
    found = read(archive(tmp_path / "x.bin", program(entries), {"0": data.tobytes()}))
    np.testing.assert_array_equal(found["turned"], data.reshape(2, 3).T)
    assert found["part"].tolist() == [4, 5]
    np.testing.assert_array_equal(found["tied"], data.reshape(2, 3))


def test_parameters_metadata_and_a_nested_state_dict(tmp_path):
    parameter = name("torch._utils", "_rebuild_parameter") + group(tensor("0", (1,), (1,)), b"\x88", ORDERED) + b"R"
    metadata = b"}" + text("_metadata") + ORDERED + b"s"
    state = b"}" + text("w") + parameter + b"s" + metadata + b"b"
    path = archive(tmp_path / "x.bin", program({"epoch": number(3), "state_dict": state}), {"0": b"\0\0\x80?"})
    assert read(path)["w"].tolist() == [1.0]


def test_an_empty_tensor(tmp_path):
    path = archive(tmp_path / "x.bin", program({"w": tensor("0", (0, 3), (3, 1), size=0)}), {"0": b""})
    assert read(path)["w"].shape == (0, 3)


# === Hostile files ===


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("module", "function"),
    [("posix", "system"), ("builtins", "eval"), ("builtins", "getattr"), ("subprocess", "Popen"), ("torch", "load")],
)
def test_nothing_is_called(tmp_path, module, function, protocol):
    command = f"touch {tmp_path}/run"
    calls = {
        2: b"\x80\x02" + name(module, function) + group(text(command)) + b"R.",
        0: name(module, function) + f"(V{command}\ntR.".encode(),
        4: b"\x80\x04" + text(module) + text(function) + b"\x93" + group(text(command)) + b"R.",
    }
    refused(archive(tmp_path / "x.bin", calls[protocol], {}), f"names '{module}.{function}', but only tensors are read")
    assert not (tmp_path / "run").exists()


def test_what_pickles_of_python_do(tmp_path):
    import os

    for value in (Call(os.system, f"touch {tmp_path}/run"), Call(eval, "1"), {"w": Call(getattr, 1, "real")}, {1, 2}):
        for protocol in range(6):
            refused(archive(tmp_path / "x.bin", pickle.dumps(value, protocol), {}), "x.bin: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        (b"\x80\x02ios\nsystem\n.", "has the instruction INST"),
        (b"\x80\x02(cos\nsystem\no.", "it names 'os.system'|instruction OBJ"),
        (b"\x80\x02\x82\x01.", "has the instruction EXT1"),
        (b"\x80\x02" + name("collections", "OrderedDict") + b")\x81.", "has the instruction NEWOBJ"),
        (
            b"\x80\x02" + name("collections", "OrderedDict") + text("x") + b"R.",
            "calls an object that is not a function",
        ),
        (b"\x80\x02" + name("collections", "OrderedDict") + group(text("x")) + b"R.", "do not describe a tensor"),
        (b"\x80\x02" + name("torch", "FloatStorage") + group(number(5)) + b"R.", "do not describe a tensor"),
        (b"\x80\x02" + name("torch._utils", "_rebuild_tensor_v2.__globals__") + b".", "only tensors are read"),
        (b"\x80\x02" + name("torch", "FloatStorage.__init__") + b".", "only tensors are read"),
        (b"\x80\x02}" + b"}" + text("__class__") + text("x") + b"sb.", "sets attributes of an object"),
        (b"\x80\x02}" + group(text("a"), text("b")) + number(1) + b"s.", "expected strings as the keys"),
        (program({"w": number(5)}), "expected a tensor as 'w'. Received: a int"),
        (program({}), "expected a dictionary of tensors"),
        (b"\x80\x02}" + number(7) + tensor("0", (1,), (1,)) + b"s.", "expected text as the names of tensors"),
        (b"\x80\x02}(" + text("a") + b"u.", "pickle is damaged"),  # a name without a value
        (b"\x80\x02].", "expected a dictionary of tensors"),
        (b"\x80\x02", "pickle is damaged"),
        (b"", "pickle is damaged"),
        (b".", "pickle is damaged"),
        (b"\x80\x02u.", "pickle is damaged"),
        (b"\x80\x02j\xff\xff\xff\xff.", "pickle is damaged"),  # a memo of 2^32 entries
        (b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "pickle is damaged"),  # 2^63 bytes
        (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\x00\x00.", "pickle is damaged"),  # a byte array of 2^48
        (b"\x80\x02}}" + text("a") + b"(((.", "expected a dictionary|Mark"),
        (b"\x80\x02" + storage("0", size=-1) + b".", "expected storages of tensors"),
        (b"\x80\x02" + group(text("module"), text("os")) + b"Q.", "expected storages of tensors"),
        (b"\x80\x02P0\n.", "has the instruction PERSID"),
    ],
)
def test_pickles_that_cannot_be(tmp_path, content, pattern):
    refused(archive(tmp_path / "x.bin", content, {"0": b"\0" * 4}), pattern)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((2,), (1,), 0),
        ((1,), (1,), 1),
        ((1,), (1,), 2**61),
        ((2**40, 2**40), (2**40, 1), 0),
        ((2**40,), (0,), 0),  # one number, over and over
        ((1, 2**61), (1, 0), 0),
        ((-1,), (1,), 0),
        ((1,), (-1,), 0),
        ((1,), (1,), -1),
        ((2**70,), (1,), 0),
        ((1,) * 65, (1,) * 65, 0),
        ((1,), (1, 1), 0),
    ],
)
def test_tensors_that_do_not_lie_in_their_storage(tmp_path, shape, strides, offset):
    content = program({"w": tensor("0", shape, strides, offset)})
    refused(
        archive(tmp_path / "x.bin", content, {"0": b"\0" * 4}), "inside its storage|contiguous|do not describe a tensor"
    )


def test_strides_that_overlap(tmp_path):
    for shape, strides in (((2, 2), (1, 1)), ((3, 2), (1, 2)), ((2,), (2,)), ((2, 2), (3, 1))):
        content = program({"w": tensor("0", shape, strides, size=6)})
        refused(archive(tmp_path / "x.bin", content, {"0": b"\0" * 24}), "must be contiguous")


def test_a_storage_that_ends_inside_a_number(tmp_path):
    path = archive(tmp_path / "x.bin", program({"w": tensor("0", (1,), (1,))}), {"0": b"\0" * 4 + b"\1"})
    assert read(path)["w"].tolist() == [0.0]


@pytest.mark.parametrize("key", ["../../etc/passwd", "/etc/passwd", "1", "", "data.pkl\0"])
def test_storages_that_are_not_there(tmp_path, key):
    refused(
        archive(tmp_path / "x.bin", program({"w": tensor(key, (1,), (1,))}), {"0": b"\0" * 4}), "inside its storage"
    )


def test_zip_bombs(tmp_path):
    content = program({"w": tensor("0", (1 << 22,), (1,), size=1 << 22)})
    bomb = archive(tmp_path / "x.bin", content, {"0": b"\0" * (1 << 24)}, compression=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1 << 18
    refused(bomb, "must be uncompressed")
    # Thousands of tensors, all of them the same large storage.
    entries = {f"w{index}": tensor("0", (1 << 16,), (1,), size=1 << 16) for index in range(100)}
    refused(
        archive(tmp_path / "y.bin", program(entries), {"0": b"\0" * (1 << 18)}),
        "Received: 26,214,400 bytes in storages",
    )
    entries = {f"w{index}": tensor("0", (1,), (1,), size=1 << 16) for index in range(100)}
    refused(archive(tmp_path / "z.bin", program(entries), {"0": b"\0" * (1 << 18)}), "in storages of 26,214,400")


def test_entries_that_are_twice_there(tmp_path):
    path = write_torch_file(tmp_path / "x.bin", TENSORS)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as file:
        file.writestr("archive/data.pkl", program({}))
    refused(path, "appears twice")


def test_two_roots_and_none(tmp_path):
    path = write_torch_file(tmp_path / "x.bin", TENSORS)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("other/data.pkl", program({}))
    refused(path, "expected one data.pkl")
    with zipfile.ZipFile(tmp_path / "y.bin", "w") as file:
        file.writestr("data.pkl", program({}))
    refused(tmp_path / "y.bin", "expected one data.pkl")


def test_damaged_bytes(tmp_path):
    path = write_torch_file(tmp_path / "x.bin", TENSORS)
    content = path.read_bytes()
    place = content.index(TENSORS["a.weight"].tobytes())
    path.write_bytes(content[:place] + b"\x01" + content[place + 1 :])
    refused(path, "is damaged")
    for kept in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:kept])
        refused(path, "x.bin: ")


def test_mutated_files_are_read_or_refused(tmp_path):
    original = write_torch_file(tmp_path / "x.bin", TENSORS).read_bytes()
    rng = np.random.default_rng(0)
    refusals = 0
    for _ in range(400):
        content = bytearray(original)
        for place in rng.integers(0, len(content), 3):
            content[place] = int(rng.integers(256))
        (tmp_path / "y.bin").write_bytes(bytes(content))
        try:
            read(tmp_path / "y.bin")
        except BundleError:
            refusals += 1
    assert refusals > 300


def test_older_formats_are_named(tmp_path):
    (tmp_path / "x.bin").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2))
    assert "save it again with Transformers" in refused(tmp_path / "x.bin", "was written by PyTorch before 1.6")
    import tarfile

    with tarfile.open(tmp_path / "y.bin", "w") as file:
        info = tarfile.TarInfo("storages")
        info.size = 1
        file.addfile(info, io.BytesIO(b"x"))
    refused(tmp_path / "y.bin", "was written by PyTorch before 1.6")
    (tmp_path / "z.bin").write_bytes(b"PK\x03\x04")
    refused(tmp_path / "z.bin", "it is damaged, or not a file of torch.save")


def test_numbers_of_another_byte_order(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.bin", "w") as file:
        file.writestr("a/data.pkl", program({}))
        file.writestr("a/byteorder", "big")
    refused(tmp_path / "x.bin", "expected little-endian numbers")

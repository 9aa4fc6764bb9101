"""Reads files of `torch.save` without PyTorch and without executing anything in them.

Since PyTorch 1.6 such a file is a zip archive: a pickle, data.pkl, describes the tensors, and each storage is an
uncompressed entry. A pickle is a program: Python's own reader executes it and calls any function that the file names.
This module does not use that reader. It interprets only the few instructions that dictionaries of tensors need. None of
them can call a function, and all other instructions are refused.

Allocations are bounded by the size of the file: entries must be uncompressed, tensors must lie inside their storages
without overlapping themselves, and all tensors together must not be much larger than the file.
"""

from __future__ import annotations

import dataclasses
import io
import math
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from kbert.errors import BundleError, shown

_DTYPES: dict[str, Any] = {
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "DoubleStorage": np.float64,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
DTYPE_NAMES = {
    np.dtype(np.float32): "F32",
    np.dtype(np.float16): "F16",
    np.dtype(ml_dtypes.bfloat16): "BF16",
    np.dtype(np.float64): "F64",
}
"""The names of the floating-point dtypes in safetensors."""
_MOST_PICKLE = 64 << 20
"""The largest allowed size of the pickle in bytes; the pickle of a BERT has about 30 kB."""
_MOST_NUMBERS = 64
"""The largest allowed number of dimensions of a tensor, as in NumPy."""
_RESAVE = (
    "If you trust it, save it again with Transformers: AutoModel.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)"
)
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first bytes of files of PyTorch 0.4 to 1.5."""


@dataclasses.dataclass(frozen=True)
class _Storage:
    """A storage: an entry of the archive that holds numbers.

    Args:
        entry: The name of the entry in the archive.
        dtype: The dtype of the numbers.
        size: The number of elements according to the pickle.
    """

    entry: str
    dtype: np.dtype[Any]
    size: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A tensor: a view of a storage. The offset and the strides are in elements, not in bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class _Name:
    """The name of a class or function in the pickle. It is compared with known names and never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class _Mark:
    """A mark on the stack, at which a list of arguments begins."""


class TorchFile:
    """The tensors of a file that `torch.save` wrote.

    Args:
        path: The file, such as pytorch_model.bin. It contains a dictionary from names to tensors, or a dictionary that
            holds it under the key "state_dict" or "model_state_dict".

    Raises:
        BundleError: The file has an older format, is damaged, or contains objects other than tensors.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive = self._opened()
        try:
            self._entries = self._checked_entries()
            root = self._root()
            content = self._state(_Machine(path, self._bytes(f"{root}data.pkl", _MOST_PICKLE), root).run())
            self._tensors = {name: self._checked(name, tensor) for name, tensor in content.items()}
            self._check_total()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._archive.close()

    def keys(self) -> list[str]:
        """Returns the names of the tensors."""
        return list(self._tensors)

    def dtype(self, name: str) -> str:
        """Returns the dtype of a tensor: "F32", "F16", "BF16" or "F64" as in safetensors, or NumPy's name of others."""
        dtype = self._tensors[name].storage.dtype
        return DTYPE_NAMES.get(dtype, dtype.name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a tensor."""
        return self._tensors[name].shape

    def get_tensor(self, name: str) -> np.ndarray:
        """Returns a tensor in the dtype in which it is stored.

        Raises:
            BundleError: The bytes of the tensor are damaged.
        """
        tensor = self._tensors[name]
        dtype = tensor.storage.dtype
        content = self._bytes(tensor.storage.entry)
        numbers = np.frombuffer(content, dtype, len(content) // dtype.itemsize)
        strides = tuple(stride * dtype.itemsize for stride in tensor.strides)
        view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
        return np.array(view, order="C")

    # === The archive ===

    def _opened(self) -> zipfile.ZipFile:
        with open(self.path, "rb") as handle:
            start = handle.read(512)
        if start.startswith(_LEGACY) or start[257:262] == b"ustar":
            raise BundleError(
                f"{self.path} was written by PyTorch before 1.6, whose files kbert cannot read. {_RESAVE}"
            )
        try:
            return zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as problem:
            raise self._refusal(f"it is damaged, or not a file of torch.save ({problem!s:.100})") from None

    def _checked_entries(self) -> dict[str, zipfile.ZipInfo]:
        size = self.path.stat().st_size
        entries: dict[str, zipfile.ZipInfo] = {}
        for entry in self._archive.infolist():
            if entry.filename in entries:
                raise self._refusal(f"the entry {shown(entry.filename)} appears twice")
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or entry.file_size > size:
                raise self._refusal(f"the entry {shown(entry.filename)} must be uncompressed and lie inside the file")
            entries[entry.filename] = entry
        return entries

    def _root(self) -> str:
        roots = [name.removesuffix("data.pkl") for name in self._entries if name.split("/")[1:] == ["data.pkl"]]
        if len(roots) != 1:
            raise self._refusal("expected one data.pkl in it, as torch.save writes it")
        order = f"{roots[0]}byteorder"
        if order in self._entries and self._bytes(order, 100) != b"little":
            raise self._refusal("expected little-endian numbers")
        return roots[0]

    def _bytes(self, name: str, most: int | None = None) -> bytes:
        entry = self._entries.get(name)
        if entry is None:
            raise self._refusal(f"the entry {shown(name)} is missing")
        if most is not None and entry.file_size > most:
            raise self._refusal(f"the entry {shown(name)} has {entry.file_size:,} bytes, more than {most:,}")
        try:
            return self._archive.read(entry)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as problem:
            raise self._refusal(f"the entry {shown(name)} is damaged ({problem!s:.100})") from None

    # === Its content ===

    def _state(self, content: Any) -> dict[str, _Tensor]:
        """Returns the dictionary of tensors in the object that the pickle describes."""
        for key in ("state_dict", "model_state_dict"):
            if isinstance(content, dict) and isinstance(content.get(key), dict):
                content = content[key]
        if not isinstance(content, dict) or not content:
            raise self._refusal("expected a dictionary of tensors")
        for name, value in content.items():
            if not isinstance(name, str):
                raise self._refusal(f"expected text as the names of tensors. Received: {_described(name)}")
            if not isinstance(value, _Tensor):
                raise self._refusal(f"expected a tensor as {shown(name)}. Received: {_described(value)}")
        return content

    def _checked(self, name: str, tensor: _Tensor) -> _Tensor:
        entry = self._entries.get(tensor.storage.entry)
        held = 0 if entry is None else entry.file_size // tensor.storage.dtype.itemsize
        count = math.prod(tensor.shape)
        last = tensor.offset + sum(
            (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)
        )
        if entry is None or max(tensor.offset, tensor.storage.size) > held or (count and last >= held):
            raise self._refusal(f"the tensor {shown(name)} does not lie inside its storage")
        # The strides must be row-major for some order of the dimensions, so that no element is used twice.
        expected = 1
        for stride, size in sorted(zip(tensor.strides, tensor.shape, strict=True)):
            if count and size > 1:
                if stride != expected:
                    raise self._refusal(f"the numbers of the tensor {shown(name)} must be contiguous")
                expected *= size
        return tensor

    def _check_total(self) -> None:
        """Limits the total size of all tensors, because tensors that share a storage are read separately."""
        size = self.path.stat().st_size
        tensors = list(self._tensors.values())
        numbers = sum(math.prod(tensor.shape) * tensor.storage.dtype.itemsize for tensor in tensors)
        storages = sum(self._entries[tensor.storage.entry].file_size for tensor in tensors)
        if numbers > 2 * size or storages > 8 * size:
            raise self._refusal(
                f"expected tensors of about the size of the file, {size:,} bytes. Received: {numbers:,} bytes in "
                f"storages of {storages:,}"
            )

    def _refusal(self, reason: str) -> BundleError:
        return BundleError(f"{self.path}: {reason}. {_RESAVE}")


def _described(value: Any) -> str:
    return f"the name {value}" if isinstance(value, _Name) else f"a {type(value).__name__}"


class _Machine:
    """Interprets the instructions of a pickle that dictionaries of tensors need.

    Args:
        path: The file, for messages.
        content: The pickle.
        root: The folder of the archive that holds the storages.
    """

    def __init__(self, path: Path, content: bytes, root: str) -> None:
        self.path = path
        self.content = content
        self.root = root
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Returns the object that the pickle describes: numbers, strings, tuples, lists, dictionaries, names, tensors.

        Raises:
            BundleError: The pickle is damaged, or describes any other object.
        """
        try:
            for name, argument in self._instructions():
                if name == "STOP":
                    return self.stack.pop()
                self._step(name, argument)
        except (IndexError, KeyError, TypeError, AttributeError, ValueError):
            raise self._refusal("its pickle is damaged") from None
        raise self._refusal("its pickle is damaged")

    def _instructions(self) -> Iterator[tuple[str, Any]]:
        try:
            for opcode, argument, _ in pickletools.genops(io.BytesIO(self.content)):
                yield opcode.name, argument
        except (ValueError, OverflowError, MemoryError):  # pickletools raises these for bytes that are not a pickle
            raise self._refusal("its pickle is damaged") from None

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                stack.append(_Mark())
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT":
                stack.append(argument)
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8":
                stack.append(argument)
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE":
                stack.append(tuple(self._marked()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                items = [stack.pop() for _ in range(count)]
                stack.append(tuple(reversed(items)))
            case "APPEND":
                item = stack.pop()
                self._top(list).append(item)
            case "APPENDS":
                items = self._marked()
                self._top(list).extend(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self._set(self._top(dict), key, value)
            case "SETITEMS":
                items = self._marked()
                target = self._top(dict)
                for key, value in zip(items[::2], items[1::2], strict=True):
                    self._set(target, key, value)
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "GLOBAL":
                stack.append(self._named(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                stack.append(self._named(module, attribute))
            case "BINPERSID":
                stack.append(self._storage(stack.pop()))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(self._made(function, arguments))
            case "BUILD":
                # A state_dict has an attribute with the versions of its modules, which are not weights.
                state = stack.pop()
                if not isinstance(state, dict) or set(state) != {"_metadata"} or not isinstance(stack[-1], dict):
                    raise self._refusal("its pickle sets attributes of an object")
            case _:
                raise self._refusal(f"its pickle has the instruction {name}, which no tensor needs")

    def _marked(self) -> list[Any]:
        items: list[Any] = []
        while not isinstance(item := self.stack.pop(), _Mark):
            items.append(item)
        return items[::-1]

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise self._refusal("its pickle is damaged")
        return self.stack[-1]

    def _set(self, target: dict[str, Any], key: Any, value: Any) -> None:
        # Only optimizer states have other keys, and hashing an object from an untrusted file may never end.
        if not isinstance(key, (str, int)):
            raise self._refusal(f"expected strings as the keys of dictionaries. Received: {_described(key)}")
        target[key] = value  # type: ignore[index]

    def _named(self, module: Any, name: Any) -> _Name:
        if not isinstance(module, str) or not isinstance(name, str):
            raise self._refusal("its pickle is damaged")
        found = _Name(module, name)
        if not (
            (module == "torch" and name in _DTYPES)
            or (module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_parameter"))
            or (module == "collections" and name == "OrderedDict")
        ):
            raise self._refusal(f"it names {shown(str(found))}, but only tensors are read")
        return found

    def _storage(self, identity: Any) -> _Storage:
        if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":
            raise self._refusal("expected storages of tensors, as torch.save writes them")
        _, kind, key, _, size = identity
        if not isinstance(kind, _Name) or kind.name not in _DTYPES or not isinstance(key, str) or not _is_count(size):
            raise self._refusal("expected storages of tensors, as torch.save writes them")
        return _Storage(f"{self.root}data/{key}", np.dtype(_DTYPES[kind.name]), size)

    def _made(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise self._refusal("its pickle calls an object that is not a function")
        if function.name == "OrderedDict" and not arguments:
            return {}
        if function.name == "_rebuild_parameter" and arguments and isinstance(arguments[0], _Tensor):
            return arguments[0]
        if function.name == "_rebuild_tensor_v2" and 6 <= len(arguments) <= 7:
            storage, offset, shape, strides = arguments[:4]
            if (
                isinstance(storage, _Storage)
                and _is_count(offset)
                and isinstance(shape, tuple)
                and isinstance(strides, tuple)
                and len(shape) == len(strides) <= _MOST_NUMBERS
                and all(map(_is_count, (*shape, *strides)))
            ):
                return _Tensor(storage, offset, shape, strides)
        raise self._refusal(f"it calls {shown(str(function))} with arguments that do not describe a tensor")

    def _refusal(self, reason: str) -> BundleError:
        return BundleError(f"{self.path}: {reason}. {_RESAVE}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62

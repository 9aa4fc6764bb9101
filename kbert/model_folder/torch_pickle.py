"""Interprets the pickle in a file of `torch.save`, without executing anything in it.

A pickle is a program: Python's own reader executes it and calls any function that the file names. This module does not
use that reader. It interprets only the few instructions that dictionaries of tensors need. None of them can call a
function, and all other instructions are refused.
"""

from __future__ import annotations

import dataclasses
import io
import pickletools
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
_MOST_NUMBERS = 64
"""The largest allowed number of dimensions of a tensor, as in NumPy."""
RESAVE = (
    "If you trust it, save it again with Transformers: AutoModel.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)"
)


@dataclasses.dataclass(frozen=True)
class Storage:
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
class TensorView:
    """A tensor: a view of a storage. The offset and the strides are in elements, not in bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class ClassName:
    """The name of a class or function in the pickle. It is compared with known names and never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class _Mark:
    """A mark on the stack, at which a list of arguments begins."""


def described(value: Any) -> str:
    """Describes an object of a pickle for a message."""
    return f"the name {value}" if isinstance(value, ClassName) else f"a {type(value).__name__}"


class TensorPickle:
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
        """Executes an instruction, as the documentation of the module pickletools describes it."""
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
            raise self._refusal(f"expected strings as the keys of dictionaries. Received: {described(key)}")
        target[key] = value  # type: ignore[index]

    def _named(self, module: Any, name: Any) -> ClassName:
        if not isinstance(module, str) or not isinstance(name, str):
            raise self._refusal("its pickle is damaged")
        found = ClassName(module, name)
        if not (
            (module == "torch" and name in _DTYPES)
            or (module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_parameter"))
            or (module == "collections" and name == "OrderedDict")
        ):
            raise self._refusal(f"it names {shown(str(found))}, but only tensors are read")
        return found

    def _storage(self, identity: Any) -> Storage:
        if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":
            raise self._refusal("expected storages of tensors, as torch.save writes them")
        _, kind, key, _, size = identity
        if (
            not isinstance(kind, ClassName)
            or kind.name not in _DTYPES
            or not isinstance(key, str)
            or not _is_count(size)
        ):
            raise self._refusal("expected storages of tensors, as torch.save writes them")
        return Storage(f"{self.root}data/{key}", np.dtype(_DTYPES[kind.name]), size)

    def _made(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, ClassName) or not isinstance(arguments, tuple):
            raise self._refusal("its pickle calls an object that is not a function")
        if function.name == "OrderedDict" and not arguments:
            return {}
        if function.name == "_rebuild_parameter" and arguments and isinstance(arguments[0], TensorView):
            return arguments[0]
        if function.name == "_rebuild_tensor_v2" and 6 <= len(arguments) <= 7:
            storage, offset, shape, strides = arguments[:4]
            if (
                isinstance(storage, Storage)
                and _is_count(offset)
                and isinstance(shape, tuple)
                and isinstance(strides, tuple)
                and len(shape) == len(strides) <= _MOST_NUMBERS
                and all(map(_is_count, (*shape, *strides)))
            ):
                return TensorView(storage, offset, shape, strides)
        raise self._refusal(f"it calls {shown(str(function))} with arguments that do not describe a tensor")

    def _refusal(self, reason: str) -> BundleError:
        return BundleError(f"{self.path}: {reason}. {RESAVE}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62

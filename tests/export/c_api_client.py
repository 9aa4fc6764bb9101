"""Runs SavedModels with TensorFlow's C API: neither kbert nor TensorFlow's Python code is imported.

`TF_LoadSessionFromSavedModel` is the loader that TensorFlow Serving and the bindings for C, Java, Go and Rust use.

    python c_api_client.py REQUESTS.json     a list of {"folder", "signature", "inputs", "base64"}

prints a JSON list with the outputs of each request, {name: nested lists}. Inputs are strings, or whole numbers (int32).
If "base64" is true, the strings are bytes in base64. A second argument, "core", leaves out TensorFlow Text.
"""

import base64
import ctypes
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np

STRING = 7
DTYPES = {1: np.float32, 3: np.int32, 9: np.int64, 10: np.bool_}  # of TF_DataType
INT32 = 3


class Buffer(ctypes.Structure):
    """TF_Buffer."""

    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p)]


class Output(ctypes.Structure):
    """TF_Output."""

    _fields_ = [("oper", ctypes.c_void_p), ("index", ctypes.c_int)]


def load_library(with_text):
    """The C library of the installed TensorFlow, if asked for with TensorFlow Text's operations registered."""
    tensorflow, text = (
        Path(importlib.util.find_spec(name).origin).parent for name in ("tensorflow", "tensorflow_text")
    )
    ctypes.CDLL(str(tensorflow / "libtensorflow_framework.so.2"), mode=ctypes.RTLD_GLOBAL)
    tf = ctypes.CDLL(str(tensorflow / "libtensorflow_cc.so.2"), mode=ctypes.RTLD_GLOBAL)
    for name in (
        "TF_NewStatus TF_NewSessionOptions TF_NewGraph TF_LoadSessionFromSavedModel TF_AllocateTensor TF_TensorData "
        "TF_GraphOperationByName TF_LoadLibrary TF_NewBuffer"
    ).split():
        getattr(tf, name).restype = ctypes.c_void_p
    tf.TF_Message.restype = ctypes.c_char_p
    tf.TF_Dim.restype = ctypes.c_int64
    status = tf.TF_NewStatus()
    for library in sorted((text / "python" / "ops").glob("*.so")) if with_text else ():
        tf.TF_LoadLibrary(str(library).encode(), ctypes.c_void_p(status))
        check(tf, status)
    return tf, status


def check(tf, status):
    """Ends the program if the last call failed."""
    if tf.TF_GetCode(ctypes.c_void_p(status)):
        raise SystemExit(tf.TF_Message(ctypes.c_void_p(status)).decode())


def make_tensor(tf, values, alive):
    """A TF_Tensor of nested lists of strings, or of numbers."""
    array = np.array(values, dtype=object)
    strings = isinstance(array.ravel()[0], str | bytes)
    dims = (ctypes.c_int64 * array.ndim)(*array.shape)
    size = 24 if strings else 4
    tensor = tf.TF_AllocateTensor(STRING if strings else INT32, dims, array.ndim, ctypes.c_size_t(size * array.size))
    data = tf.TF_TensorData(ctypes.c_void_p(tensor))
    if not strings:
        numbers = np.ascontiguousarray(array.astype(np.int32))
        ctypes.memmove(data, numbers.ctypes.data, numbers.nbytes)
        return tensor
    for index, text in enumerate(array.ravel()):
        encoded = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        held = ctypes.create_string_buffer(encoded, len(encoded) + 1)
        alive.append(held)
        # A TF_TString of the kind "view": its size and kind in one word, then a pointer.
        view = (ctypes.c_uint64 * 3)(len(encoded) << 2 | 3, ctypes.addressof(held), 0)
        ctypes.memmove(data + 24 * index, view, 24)
    return tensor


def read_tensor(tf, tensor):
    """Nested lists of a TF_Tensor."""
    pointer = ctypes.c_void_p(tensor)
    shape = [tf.TF_Dim(pointer, axis) for axis in range(tf.TF_NumDims(pointer))]
    data, kind = tf.TF_TensorData(pointer), tf.TF_TensorType(pointer)
    count = int(np.prod(shape, dtype=np.int64))
    if kind == STRING:
        flat = [read_string(data + 24 * index) for index in range(count)]
        return np.array([*flat, None], object)[:-1].reshape(shape).tolist()
    dtype = np.dtype(DTYPES[kind])
    return np.frombuffer(ctypes.string_at(data, count * dtype.itemsize), dtype).reshape(shape).tolist()


def read_string(place):
    """The text of a TF_TString."""
    word = int.from_bytes(ctypes.string_at(place, 8), "little")
    kind = word & 3
    if kind == 0:  # small: the text itself
        return ctypes.string_at(place + 1, (word & 0xFF) >> 2).decode()
    if kind == 2:  # offset
        return ctypes.string_at(place + (word >> 32), (word & 0xFFFFFFFF) >> 2).decode()
    pointer = ctypes.c_void_p.from_address(place + (16 if kind == 1 else 8)).value
    return ctypes.string_at(pointer, word >> 2).decode()


def read_signatures(buffer):
    """The signatures of a MetaGraphDef: {name: (inputs, outputs)}, each {key: tensor name}."""
    signatures = {}
    for number, entry in fields(ctypes.string_at(buffer.data, buffer.length)):
        if number != 5:  # MetaGraphDef.signature_def, a map
            continue
        name, definition = dict(fields(entry))[1].decode(), dict(fields(entry))[2]
        sides = {1: {}, 2: {}}  # SignatureDef.inputs and outputs, maps from keys to TensorInfo
        for side, item in fields(definition):
            if side in sides:
                pair = dict(fields(item))
                sides[side][pair[1].decode()] = dict(fields(pair[2]))[1].decode()  # TensorInfo.name
        signatures[name] = (sides[1], sides[2])
    return signatures


def fields(message):
    """(number, value) of each field in the bytes of a protobuf message."""
    place = 0

    def varint():
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            value = varint()
        else:
            length = {1: 8, 5: 4}.get(kind) or (varint() if kind == 2 else 0)
            value = message[place : place + length]
            place += length
        yield key >> 3, value


def main(path, ops="text"):
    """Answers the requests of a file."""
    tf, status = load_library(ops == "text")
    loaded = {}
    answers = []
    for request in json.loads(Path(path).read_text()):
        if request["folder"] not in loaded:
            graph, buffer = tf.TF_NewGraph(), Buffer()
            session = tf.TF_LoadSessionFromSavedModel(
                ctypes.c_void_p(tf.TF_NewSessionOptions()),
                None,
                request["folder"].encode(),
                (ctypes.c_char_p * 1)(b"serve"),
                1,
                ctypes.c_void_p(graph),
                ctypes.byref(buffer),
                ctypes.c_void_p(status),
            )
            check(tf, status)
            loaded[request["folder"]] = (session, graph, read_signatures(buffer))
        session, graph, signatures = loaded[request["folder"]]
        inputs, outputs = signatures[request["signature"]]

        def place(tensor_name, graph=graph):
            operation, index = tensor_name.split(":")
            return Output(tf.TF_GraphOperationByName(ctypes.c_void_p(graph), operation.encode()), int(index))

        alive = []
        keys = list(outputs)
        given = request["inputs"]
        if request.get("base64"):
            given = {name: [base64.b64decode(text) for text in texts] for name, texts in given.items()}
        results = (ctypes.c_void_p * len(keys))()
        tf.TF_SessionRun(
            ctypes.c_void_p(session),
            None,
            (Output * len(given))(*(place(inputs[key]) for key in given)),
            (ctypes.c_void_p * len(given))(*(make_tensor(tf, values, alive) for values in given.values())),
            len(given),
            (Output * len(keys))(*(place(outputs[key]) for key in keys)),
            results,
            len(keys),
            None,
            0,
            None,
            ctypes.c_void_p(status),
        )
        check(tf, status)
        answers.append({key: read_tensor(tf, tensor) for key, tensor in zip(keys, results, strict=True)})
    assert not [name for name in sys.modules if name.split(".")[0] in ("kbert", "tensorflow", "keras")]
    print(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])

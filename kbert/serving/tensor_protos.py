"""TensorProtos to arrays and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kbert.serving.request_error import RequestError, invalid

# A TensorProto of a few bytes can stand for any number of equal values.
_MOST_REPEATED_VALUES = 2**22
_FIELDS = {
    "DT_FLOAT": "float_val",
    "DT_DOUBLE": "double_val",
    "DT_INT8": "int_val",
    "DT_INT16": "int_val",
    "DT_INT32": "int_val",
    "DT_UINT8": "int_val",
    "DT_UINT16": "int_val",
    "DT_INT64": "int64_val",
    "DT_UINT32": "uint32_val",
    "DT_UINT64": "uint64_val",
    "DT_BOOL": "bool_val",
    "DT_STRING": "string_val",
    "DT_HALF": "half_val",
    "DT_BFLOAT16": "half_val",
    "DT_COMPLEX64": "scomplex_val",
    "DT_COMPLEX128": "dcomplex_val",
}


def dtype_name(number: int) -> str:
    """Returns the name of a DataType, such as "DT_FLOAT"."""
    from tensorflow.core.framework import types_pb2

    if number in types_pb2.DataType.values():
        return str(types_pb2.DataType.Name(number))
    return str(number)


def array_dtype(array: np.ndarray) -> Any:
    """Returns the tf.DType of an array; arrays of objects hold strings."""
    import tensorflow as tf

    return tf.string if array.dtype.kind in "OSU" else tf.dtypes.as_dtype(array.dtype)


def array_of(name: str, proto: Any) -> np.ndarray:
    """Returns the array of a TensorProto. Strings are an object array of bytes.

    Args:
        name: The name of the tensor, for messages.
        proto: The TensorProto.

    Raises:
        RequestError: The TensorProto is invalid.
    """
    import tensorflow as tf

    sizes = [dimension.size for dimension in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
        raise _parsing_error(name, f"expected a shape of known sizes. Received: {sizes or 'an unknown rank'}")
    count = math.prod(sizes)
    kind = dtype_name(proto.dtype)
    field = _FIELDS.get(kind)
    if field is None:
        raise _parsing_error(name, f"expected a tensor of a known dtype. Received: {kind}")
    values = len(getattr(proto, field)) // (2 if "complex" in field else 1)
    if not proto.tensor_content and (values > count or (values < count and count > _MOST_REPEATED_VALUES)):
        raise _parsing_error(name, f"expected {count} values for the shape {sizes}. Received: {values}")
    try:
        if count and not values and not proto.tensor_content:
            # Values that are not given are zeros, as fields of protocol buffers are.
            empty = tf.dtypes.as_dtype(proto.dtype).as_numpy_dtype
            return np.full(sizes, b"", dtype=object) if kind == "DT_STRING" else np.zeros(sizes, empty)
        return np.asarray(tf.make_ndarray(proto))
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as problem:
        raise _parsing_error(name, " ".join(str(problem).split())[:200]) from None


def proto_of(array: np.ndarray, *, as_content: bool = False) -> Any:
    """Returns the TensorProto of an array.

    Args:
        array: The array; strings are an object array of bytes.
        as_content: Whether numbers are written as bytes (tensor_content) instead of one value of a field each.

    Raises:
        RequestError: A TensorProto cannot express the dtype.
    """
    from tensorflow.core.framework import tensor_pb2

    proto = tensor_pb2.TensorProto(dtype=array_dtype(array).as_datatype_enum)
    # The shape of a scalar is present, too.
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    kind = dtype_name(proto.dtype)
    if kind not in _FIELDS:
        raise RequestError("UNIMPLEMENTED", f"expected an output of a dtype that can be sent. Received: {kind}")
    values = getattr(proto, _FIELDS[kind])
    if kind == "DT_STRING":
        values.extend(array.ravel().tolist())
    elif as_content:
        proto.tensor_content = np.ascontiguousarray(array).tobytes()
    elif kind in ("DT_HALF", "DT_BFLOAT16"):
        values.extend(array.ravel().view(np.uint16).tolist())
    elif "COMPLEX" in kind:
        values.extend(array.ravel().view(array.real.dtype).tolist())
    else:
        values.extend(array.ravel().tolist())
    return proto


def _parsing_error(name: str, reason: str) -> RequestError:
    return invalid(f"tensor parsing error: {name}: {reason}")

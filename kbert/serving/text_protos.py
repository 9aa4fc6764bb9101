"""Configuration files of TensorFlow Serving: protocol buffers in text form.

Messages that no package of Python contains are declared here from the names and types of their fields. A text file
names its fields, so their numbers do not matter.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from kbert.errors import ServingError
from kbert.files import PathLike


def text_message_class(name: str, fields: Mapping[str, str | Mapping[str, Any]]) -> Any:
    """Returns the class of a message.

    Args:
        name: The name of the message.
        fields: The type of each field: "bool", "int64" or "string", with "repeated " before it for lists; the name of a
            wrapper, such as "Int64Value"; or the fields of a message in it.
    """
    return _message_class(name, _hashable(fields))


def parse_text(text: str, message_class: Any, path: PathLike) -> Any:
    """Returns the message that a text stands for.

    Raises:
        ServingError: The text is not such a message.
    """
    from google.protobuf import text_format

    message = message_class()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as problem:
        raise ServingError(
            f"{path}: Error parsing text-format {message.DESCRIPTOR.full_name}: {' '.join(str(problem).split()):.300}"
        ) from None
    return message


@functools.cache
def _message_class(name: str, fields: tuple[tuple[str, Any], ...]) -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

    file = descriptor_pb2.FileDescriptorProto(name=f"kbert/serving/{name}.proto", package="tensorflow.serving")
    file.syntax = "proto3"
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    _declare(file.message_type.add(), name, fields, f".tensorflow.serving.{name}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.serving.{name}"))


def _declare(message: Any, name: str, fields: tuple[tuple[str, Any], ...], full_name: str) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto

    kinds = {"bool": "TYPE_BOOL", "int64": "TYPE_INT64", "string": "TYPE_STRING"}
    message.name = name
    for number, (field_name, kind) in enumerate(fields, 1):
        field = message.field.add(name=field_name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
        if not isinstance(kind, str):
            field.type = FieldDescriptorProto.TYPE_MESSAGE
            inner = field_name.title().replace("_", "")
            field.type_name = f"{full_name}.{inner}"
            _declare(message.nested_type.add(), inner, kind, field.type_name)
            continue
        if kind.startswith("repeated "):
            field.label = FieldDescriptorProto.LABEL_REPEATED
            kind = kind.removeprefix("repeated ")
        if kind in kinds:
            field.type = getattr(FieldDescriptorProto, kinds[kind])
        else:
            field.type = FieldDescriptorProto.TYPE_MESSAGE
            field.type_name = f".google.protobuf.{kind}"


def _hashable(fields: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, kind if isinstance(kind, str) else _hashable(kind)) for name, kind in fields.items())

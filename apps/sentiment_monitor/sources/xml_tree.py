"""XML of strangers as a tree, without what makes XML dangerous."""

from __future__ import annotations

from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

_DEEPEST = 100


def parse_xml(data: bytes) -> Element:
    """Parses a document; names are those without namespaces.

    Declared entities are refused: a few lines of them can stand for gigabytes ("billion laughs"), and external ones
    make the reader open files and addresses.

    Args:
        data: The document.

    Raises:
        ValueError: The document is no well-formed XML, declares entities, or has elements within elements within
            elements, to a depth of more than 100.
    """
    builder = TreeBuilder()
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"expected elements to a depth of {_DEEPEST}. Received: deeper ones")
        builder.start(_local(name), attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(name))

    def refuse(*_: object) -> NoReturn:
        raise ValueError("expected XML without declared entities. Received: a declaration of an entity")

    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    except expat.ExpatError as problem:
        raise ValueError(f"expected XML. Received: {problem}") from None


def _local(name: str) -> str:
    return name.rpartition("}")[2]

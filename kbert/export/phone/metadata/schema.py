"""The tables of TensorFlow Lite's metadata, as FlatBuffers stores them.

The schema is metadata_schema.fbs, version 1.5.0. Only the fields that text models need are here. The numbers of the
fields, of the union's members and of the enumerations' values are those of the schema.
"""

from __future__ import annotations

import abc
import dataclasses
import enum
from collections.abc import Sequence
from typing import ClassVar

import flatbuffers

FILE_IDENTIFIER = b"M001"
"""The identifier of a FlatBuffer with this schema."""
MINIMUM_PARSER_VERSION = "1.1.0"
"""The version of the schema from which on it has tokenizers, which is the newest part that text models use."""


class FileType(enum.IntEnum):
    """What an associated file contains."""

    AXIS_LABELS = 2
    """The name of each value of a tensor, one per line."""
    AXIS_SCORE_CALIBRATION = 4
    """The calibration of each value of a tensor, one per line: scale, slope and offset, separated by commas."""
    VOCABULARY = 5
    """The tokens in the order of their ids, one per line."""


class ScoreTransformation(enum.IntEnum):
    """The function g of a score that is calibrated; see `ScoreCalibration`."""

    IDENTITY = 0
    LOG = 1
    INVERSE_LOGISTIC = 2


class Table(abc.ABC):
    """A table of the schema, which is written after the tables that it refers to."""

    @abc.abstractmethod
    def write(self, builder: flatbuffers.Builder) -> int:
        """Writes the table, and returns its offset in the builder."""


@dataclasses.dataclass(frozen=True)
class AssociatedFile(Table):
    """A file that is packed with the model.

    Args:
        name: The name of the file in the archive at the end of the model.
        type: What the file contains.
        description: What the file is, for people.
    """

    name: str
    type: FileType
    description: str = ""

    def write(self, builder: flatbuffers.Builder) -> int:
        """Writes the table, and returns its offset in the builder."""
        name, description = _string(builder, self.name), _string(builder, self.description)
        builder.StartObject(5)
        _add(builder, 0, name)
        _add(builder, 1, description)
        builder.PrependInt8Slot(2, self.type, 0)
        return builder.EndObject()


@dataclasses.dataclass(frozen=True)
class ProcessUnit(Table):
    """A step that is computed before or after the model; one of the subclasses."""

    member: ClassVar[int]
    """The number of the subclass in the union of all units."""

    @abc.abstractmethod
    def write_options(self, builder: flatbuffers.Builder) -> int:
        """Writes the member of the union, and returns its offset in the builder."""

    def write(self, builder: flatbuffers.Builder) -> int:
        """Writes the table, and returns its offset in the builder."""
        options = self.write_options(builder)
        builder.StartObject(2)
        builder.PrependUint8Slot(0, self.member, 0)
        _add(builder, 1, options)
        return builder.EndObject()


@dataclasses.dataclass(frozen=True)
class ScoreCalibration(ProcessUnit):
    """The calibration of scores: scale / (1 + exp(-(slope * g(score) + offset))).

    Args:
        transformation: The function g.
    """

    member: ClassVar[int] = 2
    transformation: ScoreTransformation

    def write_options(self, builder: flatbuffers.Builder) -> int:
        """Writes the member of the union, and returns its offset in the builder."""
        builder.StartObject(2)
        builder.PrependInt8Slot(0, self.transformation, 0)
        return builder.EndObject()


@dataclasses.dataclass(frozen=True)
class BertTokenizer(ProcessUnit):
    """BERT's tokenizer.

    Args:
        vocabulary: The file with the vocabulary.
    """

    member: ClassVar[int] = 4
    vocabulary: AssociatedFile

    def write_options(self, builder: flatbuffers.Builder) -> int:
        """Writes the member of the union, and returns its offset in the builder."""
        files = _tables(builder, [self.vocabulary])
        builder.StartObject(1)
        _add(builder, 0, files)
        return builder.EndObject()


@dataclasses.dataclass(frozen=True)
class TensorMetadata(Table):
    """The metadata of an input or output of the model.

    Args:
        name: The name by which programs find the tensor.
        description: What the tensor contains, for people.
        units: The steps that are computed on the values of the tensor.
        files: The files that belong to the tensor.
    """

    name: str
    description: str = ""
    units: Sequence[ProcessUnit] = ()
    files: Sequence[AssociatedFile] = ()

    def write(self, builder: flatbuffers.Builder) -> int:
        """Writes the table, and returns its offset in the builder."""
        name, description = _string(builder, self.name), _string(builder, self.description)
        units, files = _tables(builder, self.units), _tables(builder, self.files)
        builder.StartObject(7)
        _add(builder, 0, name)
        _add(builder, 1, description)
        _add(builder, 4, units)
        _add(builder, 6, files)
        return builder.EndObject()


@dataclasses.dataclass(frozen=True)
class GraphMetadata(Table):
    """The metadata of a graph of the model.

    Args:
        inputs: The metadata of each input, in the order of the graph.
        outputs: The metadata of each output, in the order of the graph.
        input_units: The steps that turn what the program receives into the inputs.
    """

    inputs: Sequence[TensorMetadata]
    outputs: Sequence[TensorMetadata]
    input_units: Sequence[ProcessUnit] = ()

    def write(self, builder: flatbuffers.Builder) -> int:
        """Writes the table, and returns its offset in the builder."""
        inputs, outputs = _tables(builder, self.inputs), _tables(builder, self.outputs)
        units = _tables(builder, self.input_units)
        builder.StartObject(10)
        _add(builder, 2, inputs)
        _add(builder, 3, outputs)
        _add(builder, 5, units)
        return builder.EndObject()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelMetadata(Table):
    """The metadata of a model.

    Args:
        name: The name of the model.
        description: What the model does.
        version: The version of the model.
        author: The author of the model.
        license: The license of the model.
        graphs: The metadata of each graph.
    """

    name: str
    description: str
    version: str
    author: str
    license: str
    graphs: Sequence[GraphMetadata]

    def write(self, builder: flatbuffers.Builder) -> int:
        """Writes the table, and returns its offset in the builder."""
        texts = (self.name, self.description, self.version, self.author, self.license, MINIMUM_PARSER_VERSION)
        name, description, version, author, license_, parser = (_string(builder, text) for text in texts)
        graphs = _tables(builder, self.graphs)
        builder.StartObject(8)
        for field, offset in enumerate((name, description, version, graphs, author, license_)):
            _add(builder, field, offset)
        _add(builder, 7, parser)
        return builder.EndObject()

    def to_bytes(self) -> bytes:
        """Returns the metadata as a FlatBuffer."""
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.write(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())


def _string(builder: flatbuffers.Builder, text: str) -> int:
    """Writes a string, and returns its offset; 0 for an empty one, which is left out."""
    return builder.CreateString(text) if text else 0


def _tables(builder: flatbuffers.Builder, tables: Sequence[Table]) -> int:
    """Writes a vector of tables, and returns its offset; 0 for an empty one, which is left out."""
    if not tables:
        return 0
    offsets = [table.write(builder) for table in tables]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _add(builder: flatbuffers.Builder, field: int, offset: int) -> None:
    """Adds a field that refers to a string, a vector or a table; the offset 0 leaves it out."""
    builder.PrependUOffsetTRelativeSlot(field, offset, 0)

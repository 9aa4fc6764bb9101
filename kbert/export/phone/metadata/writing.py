"""Writes metadata into LiteRT models.

The metadata is a buffer of the model that its list of metadata names "TFLITE_METADATA". The files that it names are in
a zip archive, which is appended to the model, and whose entries are not compressed.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as model_schema
from tensorflow.lite.tools import flatbuffer_utils

from kbert import features
from kbert.errors import ExportError
from kbert.export.phone.metadata.phone_metadata import CALIBRATION_FILE, LABELS_FILE, VOCABULARY_FILE, PhoneMetadata
from kbert.export.phone.metadata.schema import (
    AssociatedFile,
    BertTokenizer,
    FileType,
    GraphMetadata,
    ModelMetadata,
    ScoreCalibration,
    ScoreTransformation,
    TensorMetadata,
)

METADATA_NAME = "TFLITE_METADATA"
"""The name of the metadata in a model's list of metadata."""

_INPUTS = {
    features.INPUT_WORD_IDS.name: TensorMetadata("ids", "The ids of the tokens: [CLS] text [SEP], then padding."),
    features.INPUT_MASK.name: TensorMetadata("mask", "1 for a token, 0 for padding."),
    features.INPUT_TYPE_IDS.name: TensorMetadata("segment_ids", "0 for the first text, 1 for the second text."),
}
"""The metadata of each input by its name in kbert. The programs on phones find inputs by the names in it."""
_LABELED_OUTPUT = "probability"
"""The name of the output with probabilities; BertNLClassifier of the Task Library finds the output by it."""
_ALIGNMENT = 16
"""The alignment of buffers in bytes that the schema of models demands."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of each file in the archive, so that equal models have equal bytes."""


def with_metadata(content: bytes, metadata: PhoneMetadata) -> bytes:
    """Returns a LiteRT model with metadata, in place of that which it may have.

    Args:
        content: The content of a .tflite file with one signature, whose inputs are `input_word_ids`, `input_mask` and
            `input_type_ids`, int32 [1, S], in any order. Its outputs keep the names in the signature; the output of a
            model with labels is named "probability".
        metadata: The metadata.

    Returns:
        The content of a .tflite file, which is also a zip archive with the vocabulary and the labels.

    Raises:
        ExportError: The model has several signatures, other inputs, or not one output with a value for each label.

    Example:
        >>> content = with_metadata(content, PhoneMetadata(name="films", vocabulary=vocabulary, labels=("bad", "good")))
        >>> Path("films.tflite").write_bytes(content)
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    described = ModelMetadata(
        name=metadata.name,
        description=metadata.description,
        version=metadata.version,
        author=metadata.author,
        license=metadata.license,
        graphs=[_graph(model, metadata)],
    )
    _set_metadata(model, described.to_bytes())
    model.buffers = [_AlignedBuffer(buffer) for buffer in model.buffers]
    return _packed(bytes(flatbuffer_utils.convert_object_to_bytearray(model)), metadata.files)


def _graph(model: Any, metadata: PhoneMetadata) -> GraphMetadata:
    graph, signature = _only_graph(model)
    inputs = _tensors(graph, graph.inputs, signature.inputs)
    shapes = {each.shape for each in inputs}
    if (
        sorted(each.name for each in inputs) != sorted(_INPUTS)
        or len(shapes) > 1
        or len(inputs[0].shape) != 2
        or any(each.dtype != model_schema.TensorType.INT32 for each in inputs)
    ):
        raise ExportError(
            f"metadata is for models with the inputs {', '.join(_INPUTS)}, int32 [1, S]. Received: {_shown(inputs)}"
        )
    outputs = _tensors(graph, graph.outputs, signature.outputs)
    described = (
        [TensorMetadata(each.name) for each in outputs]
        if metadata.labels is None
        else [_labeled_output(outputs, len(metadata.labels), metadata.is_calibrated)]
    )
    vocabulary = AssociatedFile(VOCABULARY_FILE, FileType.VOCABULARY, "The tokens in the order of their ids.")
    return GraphMetadata([_INPUTS[each.name] for each in inputs], described, [BertTokenizer(vocabulary)])


def _only_graph(model: Any) -> tuple[Any, Any]:
    """Returns the graph of a model, and its signature."""
    signatures, graphs = len(model.signatureDefs or ()), len(model.subgraphs)
    if (signatures, graphs) != (1, 1):
        raise ExportError(
            "metadata is for models with one signature and one graph. "
            f"Received: {signatures} signatures, {graphs} graphs; export with one --sequence-length"
        )
    return model.subgraphs[0], model.signatureDefs[0]


class _Tensor(NamedTuple):
    """An input or output: its name in the signature, its shape, and its dtype as the schema numbers it."""

    name: str
    shape: tuple[int, ...]
    dtype: int


def _tensors(graph: Any, indices: Iterable[int], signature: Iterable[Any]) -> list[_Tensor]:
    """Returns the inputs or outputs in the order of the graph."""
    names = {each.tensorIndex: _text(each.name) for each in signature}
    tensors = [(names.get(index, "(not in the signature)"), graph.tensors[index]) for index in indices]
    return [_Tensor(name, tuple(map(int, each.shape)), each.type) for name, each in tensors]


def _shown(tensors: Iterable[_Tensor]) -> str:
    return ", ".join(f"{each.name} {list(each.shape)}" for each in tensors)


def _labeled_output(outputs: Sequence[_Tensor], labels: int, is_calibrated: bool) -> TensorMetadata:
    if [each.shape for each in outputs] != [(1, labels)]:
        raise ExportError(
            f"expected a model with one output, float32 [1, {labels}], for as many labels. Received: {_shown(outputs)}"
        )
    files = [AssociatedFile(LABELS_FILE, FileType.AXIS_LABELS, "The labels in the order of their probabilities.")]
    if not is_calibrated:
        return TensorMetadata(_LABELED_OUTPUT, "The probability of each label.", files=files)
    files.append(AssociatedFile(CALIBRATION_FILE, FileType.AXIS_SCORE_CALIBRATION, "Calibration by a temperature."))
    unit = ScoreCalibration(ScoreTransformation.INVERSE_LOGISTIC)
    return TensorMetadata(_LABELED_OUTPUT, "The probability of each label before calibration.", [unit], files)


def _set_metadata(model: Any, content: bytes) -> None:
    """Puts metadata into a buffer of its own, or into the buffer of the metadata that the model has."""
    entries = list(model.metadata or ())
    entry = next((each for each in entries if _text(each.name) == METADATA_NAME), None)
    if entry is None:
        entry = model_schema.MetadataT()
        entry.name, entry.buffer = METADATA_NAME, len(model.buffers)
        model.buffers.append(model_schema.BufferT())
        model.metadata = [*entries, entry]
    model.buffers[entry.buffer].data = np.frombuffer(content, np.uint8)


class _AlignedBuffer(model_schema.BufferT):
    """A buffer whose data is aligned as the schema demands. The generated class aligns it to 4 bytes only."""

    def __init__(self, buffer: Any) -> None:
        super().__init__(offset=buffer.offset, size=buffer.size)
        self.data: np.ndarray | None = None if buffer.data is None else np.asarray(buffer.data, np.uint8)

    def Pack(self, builder: flatbuffers.Builder) -> int:
        """Writes the buffer, and returns its offset in the builder."""
        if self.data is not None:
            builder.Prep(_ALIGNMENT, len(self.data))
        return int(super().Pack(builder))


def _packed(content: bytes, files: Mapping[str, bytes]) -> bytes:
    """Returns a model followed by a zip archive of files, which are stored as they are."""
    target = io.BytesIO()
    target.write(content)
    with zipfile.ZipFile(target, "a", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return target.getvalue()


def _text(value: bytes | str) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else value

"""The operations of TensorFlow that do more than compute."""

from __future__ import annotations

import re
from typing import Any

RESTORES = ("RestoreV2",)
"""Operations that read variables; their first input is the path."""
READS_TABLE = ("InitializeTableFromTextFile", "InitializeTableFromTextFileV2")
"""Operations that read a table; their second input is the path."""

_PYTHON = re.compile(r"(Eager)?PyFunc(Stateless)?")
_FILES = re.compile(
    r"ReadFile|WriteFile|MatchingFiles|.*MatchingFilesDataset.*|WholeFileReader.*|TextLineReader.*"
    r"|FixedLengthRecordReader.*|TFRecordReader.*|LMDBReader|RecordInput|Skipgram"
    r"|.*TextLineDataset.*|.*FixedLengthRecordDataset.*|.*TFRecordDataset.*|.*LMDBDataset.*|.*SqlDataset.*"
    r"|.*CSVDataset.*|.*LoadDataset.*|.*SaveDataset.*|.*Snapshot.*Dataset.*|CacheDataset.*|.*DatasetToTFRecord"
    r"|Save|SaveV2|SaveSlices|Restore|RestoreSlice|RestoreV2|MergeV2Checkpoints|DeleteOldFiles|DistributedSave"
    r"|DTensorRestore.*|DTensorSave.*|Ifrt.*"
    r"|LoadAndRemapMatrix|GenerateVocabRemapping|ImmutableConst|FileSystemSetConfiguration"
    r"|CreateSummaryFileWriter|CreateSummaryDbWriter|DumpTensor|CalibrationStatisticsSaver"
    r"|DebugIdentity.*|DebugNanCount.*|DebugNumericSummary.*|Copy|CopyHost"
    r"|.*DataServiceDataset.*|RegisterDataset.*|Rpc.*|RemoteCall|BigQuery.*|GcsConfigure.*"
)
# These hold or receive a program in a form that the check does not read.
_PROGRAMS = re.compile(
    r"DatasetFromGraph|DeserializeIterator|RemoteFusedGraphExecute|MlirPassthroughOp|XlaCallModule|XlaCustomCall.*"
    r"|_?XlaHostCompute.*|_XlaRun|_TPUCompile.*|TPUCompile|TPUExecute.*"
)
# Attributes that may name a file, with the values that do not.
_ATTRIBUTES = {
    ("PrintV2", "output_stream"): re.compile(rb"(?!file:).*", re.DOTALL),
    ("DecodeProtoV2", "descriptor_source"): re.compile(rb"|local://|bytes://.*", re.DOTALL),
    ("EncodeProto", "descriptor_source"): re.compile(rb"|local://|bytes://.*", re.DOTALL),
    ("FixedUnigramCandidateSampler", "vocab_file"): re.compile(rb""),
}


def danger_of(node: Any) -> str:
    """Returns what an operation does besides computing, such as "runs Python code"; empty if it only computes.

    Args:
        node: The NodeDef.
    """
    if _PYTHON.fullmatch(node.op):
        return "runs Python code"
    if _FILES.fullmatch(node.op):
        return "accesses files or the network"
    if node.op in READS_TABLE:
        return "reads a file that is not one of the model's assets"
    if _PROGRAMS.fullmatch(node.op):
        return "runs a program that cannot be checked"
    if node.op == "Abort":
        return "ends the process"
    for (operation, name), harmless in _ATTRIBUTES.items():
        value = node.attr.get(name) if node.op == operation else None
        # A placeholder stands for a value that the caller of a function chooses.
        if value is not None and (value.placeholder or not harmless.fullmatch(value.s)):
            return "accesses files or the network"
    return ""

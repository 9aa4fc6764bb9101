"""Refuses LiteRT models that run operations of TensorFlow, which could access files."""

from __future__ import annotations

import struct
from pathlib import Path

from kbert.errors import ServingError

# The converter gives this name to operations of TensorFlow. The interpreter of the package ai-edge-litert has none of
# them, unlike that of TensorFlow.
_TENSORFLOW_OPERATION = b"Flex"


def check_litert(path: Path) -> None:
    """Checks that a LiteRT model has no operation of TensorFlow.

    Args:
        path: The .tflite file.

    Raises:
        ServingError: It has one, or is no LiteRT model.
        OSError: The file cannot be read.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    content = path.read_bytes()
    try:
        model = schema.Model.GetRootAs(content, 0)
        codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
        names = [code.CustomCode() or b"" for code in codes]
    except (struct.error, IndexError, ValueError, OverflowError, TypeError) as problem:
        raise ServingError(f"expected a LiteRT model. Received: {path}, which is damaged ({problem!s:.100})") from None
    for name in names:
        if name.startswith(_TENSORFLOW_OPERATION):
            raise ServingError(
                f"expected a LiteRT model without operations of TensorFlow. Received: {path} with "
                f"{name.decode('utf-8', 'replace'):.60}; the option trust_models serves models of known origin all the "
                "same"
            )

"""What the server needs of a model in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class ServedModel(Protocol):
    """A model in memory, which several threads may call at the same time."""

    signatures: Mapping[str, Any]
    """The SignatureDefs by name."""

    def run(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            signature_name: The name of the signature.
            inputs: One array for each input, of its dtype; strings are object arrays of bytes.
            outputs: The names of the outputs to compute; the default is all.

        Returns:
            One array for each of these outputs.

        Raises:
            RequestError: The graph cannot compute these values.
        """
        ...

    def close(self) -> None:
        """Frees the memory of the model. No call may follow."""
        ...


def result_array(value: Any) -> np.ndarray:
    """Returns a result of TensorFlow as an array; scalars come as values of NumPy or Python."""
    return np.asarray(value, dtype=object if isinstance(value, (bytes, str)) else None)

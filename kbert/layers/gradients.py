"""Functions with a custom gradient, on every Keras backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops


def own_gradient(function: Callable[..., tuple[Any, Callable[[Any], Any]]]) -> Callable[..., Any]:
    """Wraps a function with `keras.ops.custom_gradient`, in a form that works on every backend.

    Backends differ in how they pass the upstream gradient; the wrapper accepts each of these forms.

    Args:
        function: A function of tensors (not variables). It returns its result, and a function from the gradient of the
            result to the gradient of each tensor.
    """

    def adapted(*inputs: Any) -> tuple[Any, Callable[..., Any]]:
        outputs, gradient = function(*inputs)

        def from_above(*above: Any, upstream: Any = None) -> Any:
            return gradient(above[0] if upstream is None else upstream)

        return outputs, from_above

    wrapped: Callable[..., Any] = ops.custom_gradient(adapted)
    return wrapped

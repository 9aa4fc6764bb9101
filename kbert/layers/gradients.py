"""Functions with a gradient of their own, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops


def own_gradient(function: Callable[..., tuple[Any, Callable[[Any], Any]]]) -> Callable[..., Any]:
    """What `keras.ops.custom_gradient` makes of a function, whichever way the backend hands over what comes from above.

    Args:
        function: Takes tensors, no variables; gives its outcome, and a function that takes the gradient of the outcome
            and gives the gradient of each tensor.
    """

    def adapted(*inputs: Any) -> tuple[Any, Callable[..., Any]]:
        outputs, gradient = function(*inputs)

        def from_above(*above: Any, upstream: Any = None) -> Any:
            return gradient(above[0] if upstream is None else upstream)

        return outputs, from_above

    wrapped: Callable[..., Any] = ops.custom_gradient(adapted)
    return wrapped

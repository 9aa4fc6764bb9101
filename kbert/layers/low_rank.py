"""Low-rank adaptation (LoRA, arXiv 2106.09685): a frozen kernel W becomes W + (α / r) A B with trained A and B.

The sum is computed once in a forward pass, so that the layer has one matrix product, as without LoRA.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from kbert.layers.gradients import own_gradient


@dataclasses.dataclass(frozen=True)
class LowRankPart:
    """The matrices A and B for some columns of a kernel.

    Args:
        name: The name of these columns, such as "query"; "kernel" if they are all columns.
        down: The variable A, [input width, r].
        up: The variable B, [r, number of these columns].
        columns: The columns, as (index, number of equal parts of the kernel).
        alpha: The factor α.
    """

    name: str
    down: Any
    up: Any
    columns: tuple[int, int]
    alpha: float

    @property
    def rank(self) -> int:
        """The rank r."""
        return int(self.down.shape[-1])

    @property
    def scale(self) -> float:
        """The factor of the product of A and B: α / r."""
        return self.alpha / self.rank


def joined_factors(parts: Sequence[LowRankPart]) -> tuple[Any, Any]:
    """Returns two matrices whose product is the sum that LoRA adds to the whole kernel.

    Args:
        parts: The parts of the kernel that have LoRA.

    Returns:
        All A side by side, [input width, R], and all B with their scales, each at its columns, [R, units]. R is the sum
        of the ranks.
    """
    rows = []
    for part in parts:
        index, count = part.columns
        width = part.up.shape[-1]
        # A product is no variable. TensorFlow's custom gradients do not accept variables.
        rows.append(ops.pad(part.scale * part.up, ((0, 0), (index * width, (count - 1 - index) * width))))
    downs = [ops.reshape(part.down, part.down.shape) for part in parts]
    return ops.concatenate(downs, axis=-1), ops.concatenate(rows, axis=0)


def low_rank_product(
    left: Any, kernel: Any, parts: Sequence[LowRankPart], product: Callable[[Any, Any, str], Any], dtype: str
) -> Any:
    """Returns the product of a matrix and a kernel with LoRA: float32 [T, width] → float32 [T, units].

    The gradients of A and B are products with r rows or columns. The gradient of the kernel, from which the automatic
    gradient would compute them, has as many operations as the product itself, and is not computed.

    Args:
        left: The matrix on the left.
        kernel: The frozen kernel, [width, units].
        parts: The parts of the kernel that have LoRA.
        product: `kbert.layers.projection.product`.
        dtype: The precision of the products.
    """
    down, up = joined_factors(parts)
    effective = ops.stop_gradient(kernel + ops.matmul(down, up))

    @own_gradient
    def function(left: Any, effective: Any, down: Any, up: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
        def gradient(above: Any) -> tuple[Any, ...]:
            of_left = product(above, ops.transpose(effective), dtype)
            of_down = product(ops.transpose(left), product(above, ops.transpose(up), dtype), dtype)
            of_up = product(ops.transpose(product(left, down, dtype)), above, dtype)
            return of_left, ops.zeros_like(effective), of_down, of_up

        return product(left, effective, dtype), gradient

    return function(left, effective, down, up)

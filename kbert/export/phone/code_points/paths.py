"""Follows the paths from many positions at the same time, in few steps, in a graph of static shapes."""

from __future__ import annotations

import tensorflow as tf


def follow(starts: tf.Tensor, steps: tf.Tensor, longest: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Follows steps from position to position.

    Each round doubles the length of the paths that have been followed, so that a path of S steps takes log2(S) rounds.

    Args:
        starts: 1 at the positions where paths begin, otherwise 0; int32 [N].
        steps: The position that follows each position, int32 [N]. A position that follows itself ends paths.
        longest: The largest number of steps of a path.

    Returns:
        1 at the positions on the paths, otherwise 0, and the last position of the path from each position; int32 [N].
    """
    count = starts.shape[0]
    reached = starts
    for _ in range(longest.bit_length()):
        arrivals = tf.scatter_nd(steps[:, None], reached, [count])
        reached = tf.minimum(reached + arrivals, 1)
        steps = tf.gather(steps, steps)
    return reached, steps

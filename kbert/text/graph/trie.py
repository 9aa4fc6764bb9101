"""A trie in a TensorFlow graph, which finds the longest of many strings at each position of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

_CODE_POINTS = 1 << 21
"""More than there are Unicode code points."""


class CodePointTrie:
    """Finds the longest key that begins at each character, for all characters at the same time.

    The nodes are numbered by depth, and those of one depth by their parent and character. So the edges, each written as
    the number parent × 2^21 + character, are in ascending order, and edge i leads to node i + R, where R is the number
    of roots. A binary search finds the edge of a character.

    Args:
        keys: The strings and their values, at least 0, for each root. A search begins at one of the roots, of which
            each has keys of its own. Empty strings are never found.
    """

    def __init__(self, keys: Sequence[Mapping[str, int]]) -> None:
        strings = [(key, root, value) for root, each in enumerate(keys) for key, value in each.items() if key]
        lengths = np.array([len(key) for key, _, _ in strings])
        characters = np.full((len(strings), max(lengths, default=0)), -1, np.int64)
        for row, (key, _, _) in enumerate(strings):
            characters[row, : len(key)] = [ord(character) for character in key]
        nodes = np.array([root for _, root, _ in strings], np.int64)
        ends = np.array([value for _, _, value in strings], np.int32)
        edges, values, depths = [], [np.full(len(keys), -1, np.int32)], [np.zeros(len(keys), np.int32)]
        count = len(keys)
        for depth in range(characters.shape[1]):
            longer = lengths > depth
            level, places = np.unique(nodes[longer] * _CODE_POINTS + characters[longer, depth], return_inverse=True)
            nodes[longer] = count + places
            of_level = np.full(len(level), -1, np.int32)
            last = lengths == depth + 1
            of_level[nodes[last] - count] = ends[last]
            edges.append(level)
            values.append(of_level)
            depths.append(np.full(len(level), depth + 1, np.int32))
            count += len(level)
        self._roots = len(keys)
        # The last edge, which no character has, is that of searches behind all others.
        self._edges = np.concatenate([*edges, [np.iinfo(np.int64).max]]).astype(np.int64)
        self._values = np.concatenate(values)
        self._depths = np.concatenate(depths)
        parents = np.unique(self._edges[:-1] // _CODE_POINTS)
        self._has_children = np.isin(np.arange(count), parents)

    def longest(self, characters: tf.Tensor, limits: tf.Tensor, roots: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Finds the longest key that begins at each character.

        Args:
            characters: Code points, int32 [N].
            limits: The index after the last character that a key may contain which begins here, int32 [N].
            roots: The root at which each search begins, int32 [N].

        Returns:
            The length of the longest key at each character, 0 if there is none, and its value or -1; int32 [N] each.
        """
        places = tf.range(tf.size(characters))

        def step(
            depth: tf.Tensor, places: tf.Tensor, nodes: tf.Tensor, found: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
            """Follows one edge from the node of each search that has not ended, at characters `places`."""
            character = tf.cast(tf.gather(characters, places + depth), tf.int64)
            wanted = tf.cast(nodes, tf.int64) * _CODE_POINTS + character
            edges = tf.searchsorted(self._edges, wanted)
            exists = tf.where(tf.gather(self._edges, edges) == wanted)[:, 0]
            places, nodes = tf.gather(places, exists), tf.gather(edges, exists) + self._roots
            ends = tf.where(tf.gather(self._values, nodes) >= 0)[:, 0]
            found = tf.tensor_scatter_nd_update(found, tf.gather(places, ends)[:, None], tf.gather(nodes, ends))
            goes_on = (places + depth + 1 < tf.gather(limits, places)) & tf.gather(self._has_children, nodes)
            left = tf.where(goes_on)[:, 0]
            return depth + 1, tf.gather(places, left), tf.gather(nodes, left), found

        unknown = tf.TensorShape([None])
        *_, found = tf.while_loop(
            lambda depth, places, nodes, found: tf.size(places) > 0,
            step,
            (tf.constant(0), places, roots, roots),
            shape_invariants=(tf.TensorShape([]), unknown, unknown, unknown),
        )
        return tf.gather(self._depths, found), tf.gather(self._values, found)

"""A trie in two arrays, in which a LiteRT model finds the longest of many keys at each position of a text."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

_END = 0
"""The base of searches that have ended. No node has it, so no edge leads on from there."""
_NO_NODE = 0
_EMPTY = -1
"""The check of a cell without a node. No character has this class."""
_WINDOW = 2048

Key = tuple[int, ...]


class DoubleArray:
    """Finds the longest key that begins at each position, for all positions at the same time.

    Characters are numbered by classes, and each node of the trie has a number of its own, its base. The edge from a
    node with base b for a character of class c leads to the node in cell b + c, if the check of this cell is c. So each
    step takes two look-ups, and needs no hash and no search. Nodes without children have the base _END.

    Args:
        keys: The keys, as classes of at least 1, and their values, at least 0, for each root. A search begins at one
            of the roots, of which each has keys of its own. No key is empty.
    """

    def __init__(self, keys: Sequence[Mapping[Key, int]]) -> None:
        nodes = _Nodes.of(keys)
        bases, size = _place(nodes.children)
        count = size + max((max(edges, default=0) for edges in nodes.children), default=0) + 1
        cells = np.zeros(len(bases), np.int64)
        self._checks = np.full(count, _EMPTY, np.int64)
        for node, edges in enumerate(nodes.children):
            for character, child in edges.items():
                cells[child] = bases[node] + character
                self._checks[cells[child]] = character
        # Roots are in no cell. They have no length and no value, as the cell of no node.
        inner = cells[len(keys) :]
        self._bases, self._lengths, self._values = (np.zeros(count, np.int64) for _ in range(3))
        self._bases[inner] = bases[len(keys) :]
        self._lengths[inner] = nodes.lengths[len(keys) :]
        self._values[inner] = nodes.values[len(keys) :]
        self._bases, self._checks, self._lengths, self._values = (
            narrow(array) for array in (self._bases, self._checks, self._lengths, self._values)
        )
        self.roots = [int(base) for base in bases[: len(keys)]]
        """The base of each root."""
        self.longest = max((len(key) for each in keys for key in each), default=0)
        """The length of the longest key."""

    def find(self, roots: tf.Tensor | int, first: tf.Tensor, further: tf.Tensor) -> tf.Tensor:
        """Finds the last node on the path of each search.

        Args:
            roots: The base of the root at which each search begins, int32 [N] or a scalar.
            first: The class of each character, as the first one of a search, int32 [N].
            further: The class of each character, as a further one of searches that begin before it; 0 for a character
                that they must not read; int32 [N].

        Returns:
            The node of each position, int32 [N].
        """
        count = first.shape[0]
        padded = tf.concat([further, tf.zeros([self.longest], tf.int32)], 0)
        base, node = roots, tf.fill([count], _NO_NODE)
        for depth in range(self.longest):
            character = tf.slice(padded, [depth], [count]) if depth else first
            cell = base + character
            exists = look_up(self._checks, cell) == character
            node = tf.where(exists, cell, node)
            if depth < self.longest - 1:
                base = tf.where(exists, look_up(self._bases, cell), _END)
        return node

    def lengths(self, nodes: tf.Tensor) -> tf.Tensor:
        """Returns the length of the longest key on the path to each node, 0 if there is none; int32."""
        return look_up(self._lengths, nodes)

    def values(self, nodes: tf.Tensor) -> tf.Tensor:
        """Returns the value of the longest key on the path to each node; int32."""
        return look_up(self._values, nodes)


class _Nodes(NamedTuple):
    """The nodes of a trie. The first ones are its roots."""

    children: list[dict[int, int]]
    """The child of each node by the class of a character."""
    lengths: list[int]
    """The length of the longest key on the path to each node."""
    values: list[int]
    """The value of this key."""

    @classmethod
    def of(cls, keys: Sequence[Mapping[Key, int]]) -> _Nodes:
        children: list[dict[int, int]] = [{} for _ in keys]
        ends: dict[int, int] = {}
        for root, each in enumerate(keys):
            for key, value in each.items():
                node = root
                for character in key:
                    if character not in children[node]:
                        children[node][character] = len(children)
                        children.append({})
                    node = children[node][character]
                ends[node] = value
        nodes = cls(children, [0] * len(children), [0] * len(children))
        # A child has a larger number than its parent, so that the parent is finished when its children are reached.
        depths = [0] * len(children)
        for node, edges in enumerate(children):
            for child in edges.values():
                depths[child] = depths[node] + 1
                is_end = child in ends
                nodes.lengths[child] = depths[child] if is_end else nodes.lengths[node]
                nodes.values[child] = ends[child] if is_end else nodes.values[node]
        return nodes


def _place(children: Sequence[Mapping[int, int]]) -> tuple[np.ndarray, int]:
    """Chooses the bases of nodes, so that no two children share a cell, and no two nodes with children share a base.

    Nodes with many children come first, since they fit into few places. Those with one child fill the gaps.

    Returns:
        The base of each node, and a number that is larger than all bases.
    """
    edges = [np.array(sorted(each), np.int64) for each in children]
    order = sorted((node for node in range(len(edges)) if len(edges[node])), key=lambda node: -len(edges[node]))
    highest = max((int(each[-1]) for each in edges if len(each)), default=0)
    size = sum(map(len, edges)) + (highest + _WINDOW) * 2
    free = np.ones(size, bool)
    unused = np.ones(size, bool)
    free[_NO_NODE] = unused[_END] = False
    bases = np.zeros(len(edges), np.int64)
    for _, group in itertools.groupby(order, key=lambda node: len(edges[node])):
        begin = 1  # nodes with as many children hardly fit before the place of the last one
        for node in group:
            wanted = edges[node]
            while True:
                if begin + _WINDOW + highest >= len(free):
                    free, unused = (np.concatenate([each, np.ones(size, bool)]) for each in (free, unused))
                fits = unused[begin : begin + _WINDOW].copy()
                for character in wanted:
                    fits &= free[begin + character : begin + character + _WINDOW]
                if fits.any():
                    break
                begin += _WINDOW
            begin += int(fits.argmax())
            bases[node] = begin
            unused[begin] = False
            free[begin + wanted] = False
    return bases, int(bases.max(initial=0)) + 1


def narrow(array: np.ndarray) -> np.ndarray:
    """Returns integers in the smallest dtype that they fit into and that LiteRT looks up: uint8, int16 or int32."""
    for dtype in (np.uint8, np.int16):
        limits = np.iinfo(dtype)
        if limits.min <= array.min() and array.max() <= limits.max:
            return array.astype(dtype)
    return array.astype(np.int32)


def look_up(table: np.ndarray, indices: tf.Tensor) -> tf.Tensor:
    """Returns rows of a constant table, int32."""
    found = tf.gather(table, indices)
    return found if table.dtype == np.int32 else tf.cast(found, tf.int32)

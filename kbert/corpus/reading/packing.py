"""Packing: several short examples in one row, so that no arithmetic goes into padding (arXiv 2107.02027).

How many rows a shard makes, and which lengths stand together in each, depends on the histogram of its lengths alone;
which examples stand together is drawn anew in each epoch. So the number of rows is known before anything is read,
and a step is found by counting.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from kbert.errors import RecordError, UsageError


@dataclasses.dataclass(frozen=True)
class PackingPlan:
    """Which lengths stand together in rows.

    Args:
        row_length: Tokens a row, S.
        packs: Pairs of the lengths in a row, longest first, and how many rows hold just these.
    """

    row_length: int
    packs: tuple[tuple[tuple[int, ...], int], ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(count for _, count in self.packs)

    @property
    def tokens(self) -> int:
        """Tokens of all examples together."""
        return sum(sum(lengths) * count for lengths, count in self.packs)

    @property
    def most_examples(self) -> int:
        """Most examples in one row."""
        return max((len(lengths) for lengths, _ in self.packs), default=0)

    def most_predictions(self, of_length: Callable[[int], int]) -> int:
        """Most predictions in one row, when an example has at most `of_length(its length)`."""
        return max((sum(map(of_length, lengths)) for lengths, _ in self.packs), default=0)

    def assign(self, lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draws which examples stand in which row.

        Args:
            lengths: Tokens of each example, int [N]. Where examples that the plan counts are lost, their places
                stay empty.
            rng: Draws among examples of one length.

        Returns:
            Indices of examples, int64 [rows, most_examples], -1 for no example.

        Raises:
            RecordError: There is an example that the plan does not count.
        """
        places = np.zeros((self.rows, self.most_examples), np.int64)
        row = 0
        for pack, count in self.packs:
            places[row : row + count, : len(pack)] = pack
            row += count
        # Places and examples, both sorted by length: the n-th example of a length takes the length's n-th place.
        planned = np.bincount(places.ravel(), minlength=self.row_length + 1)
        planned[0] = 0
        found = np.bincount(lengths, minlength=self.row_length + 1)
        if len(found) > len(planned) or (found > planned).any():
            raise RecordError("expected the lengths of examples that packing was planned for. The records have changed")
        order = np.argsort(places, axis=None, kind="stable")[places.size - planned.sum() :]
        examples = rng.permutation(len(lengths))
        examples = examples[np.argsort(lengths[examples], kind="stable")]
        within = np.arange(len(lengths)) - np.repeat(np.cumsum(found) - found, found)
        chosen = order[np.repeat(np.cumsum(planned) - planned, found) + within]
        result = np.full(places.size, -1, np.int64)
        result[chosen] = examples
        return result.reshape(places.shape)


def plan_packing(
    histogram: Sequence[int] | np.ndarray, row_length: int, *, max_examples: int | None = None
) -> PackingPlan:
    """Packs the longest examples first, each into the fullest row that still has room ("longest-pack-first").

    Works on the histogram of lengths: a pack is many rows at once, so the time does not grow with the examples.

    Args:
        histogram: How many examples have n tokens, at n.
        row_length: Tokens a row.
        max_examples: Most examples a row. By default four times as many as fill a row on average: a few rows of
            very short examples would make all rows pay for the places of their predictions.

    Raises:
        UsageError: An example is longer than a row.
    """
    counts = np.asarray(histogram)
    longest = int(counts.nonzero()[0].max(initial=0))
    if longest > row_length:
        raise UsageError(f"pack_to must be at least the longest example, {longest} tokens. Received: {row_length}")
    if max_examples is None:
        tokens = int((counts * np.arange(len(counts))).sum())
        max_examples = max(8, round(4 * row_length * int(counts.sum()) / max(tokens, 1)))
    full: list[tuple[tuple[int, ...], int]] = []
    # open_[room] lists packs with so much room left, each with its number of rows.
    open_: list[list[tuple[tuple[int, ...], int]]] = [[] for _ in range(row_length + 1)]
    for length in range(longest, 0, -1):
        left = int(counts[length])
        room = length
        while left:
            while room < row_length and not open_[room]:
                room += 1
            if open_[room]:
                pack, rows = open_[room].pop()
                used = min(left, rows)
                if rows > used:
                    open_[room].append((pack, rows - used))
                made = [((*pack, length), used)]
            else:
                # No row has room: rows of this length alone, as many copies in each as fit.
                copies = min(row_length // length, max_examples)
                used = left
                made = [((length,) * copies, left // copies), ((length,) * (left % copies), 1)]
            for pack, rows in made:
                if rows and pack:
                    closed = len(pack) == max_examples
                    (full if closed else open_[row_length - sum(pack)]).append((pack, rows))
            left -= used
    return PackingPlan(row_length, tuple(itertools.chain(full, *open_)))

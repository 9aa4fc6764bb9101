"""Packing: several short examples share a row, so that little computation is spent on padding (arXiv 2107.02027).

The number of rows of a shard, and the combination of lengths in each row, depend only on the histogram of its example
lengths. Which examples of these lengths share a row is drawn anew in each epoch. So the number of rows is known before
any record is read, and training can resume at any step by counting rows.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from kbert.errors import RecordError, UsageError


@dataclasses.dataclass(frozen=True)
class PackingPlan:
    """The combinations of example lengths that share a row.

    Args:
        row_length: The number of tokens per row, S.
        packs: Each combination of lengths, longest first, with the number of rows that hold exactly this combination.
    """

    row_length: int
    packs: tuple[tuple[tuple[int, ...], int], ...]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(count for _, count in self.packs)

    @property
    def tokens(self) -> int:
        """The number of tokens in all examples together."""
        return sum(sum(lengths) * count for lengths, count in self.packs)

    @property
    def most_examples(self) -> int:
        """The maximum number of examples in a row."""
        return max((len(lengths) for lengths, _ in self.packs), default=0)

    def most_predictions(self, of_length: Callable[[int], int]) -> int:
        """Returns the maximum number of predictions in a row.

        Args:
            of_length: Maps the length of an example to its maximum number of predictions.
        """
        return max((sum(map(of_length, lengths)) for lengths, _ in self.packs), default=0)

    def assign(self, lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Assigns the examples to rows at random.

        Args:
            lengths: The number of tokens in each example, int [N]. If there are fewer examples of a length than
                planned, because records were lost, the remaining places stay empty.
            rng: Chooses among the examples of each length.

        Returns:
            The indices of the examples in each row, int64 [rows, most_examples], with -1 for no example.

        Raises:
            RecordError: There are more examples of a length than planned.
        """
        places = np.zeros((self.rows, self.most_examples), np.int64)
        row = 0
        for pack, count in self.packs:
            places[row : row + count, : len(pack)] = pack
            row += count
        # Places and examples are both sorted by length: the n-th example of a length takes the n-th place of that
        # length.
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

    The algorithm works on the histogram of lengths and handles many equal rows at once, so its running time does not
    grow with the number of examples.

    Args:
        histogram: The number of examples with n tokens, at index n.
        row_length: The number of tokens per row.
        max_examples: The maximum number of examples per row. The default is four times the number of average examples
            that fill a row. The limit exists because all rows have as many places for predictions as the row that
            needs most, which could be a rare row of very short examples.

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
    # open_[room] lists the packs with `room` tokens left, each with its number of rows.
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
                # No row has room: open new rows with as many examples of this length as fit in each.
                copies = min(row_length // length, max_examples)
                used = left
                made = [((length,) * copies, left // copies), ((length,) * (left % copies), 1)]
            for pack, rows in made:
                if rows and pack:
                    closed = len(pack) == max_examples
                    (full if closed else open_[row_length - sum(pack)]).append((pack, rows))
            left -= used
    return PackingPlan(row_length, tuple(itertools.chain(full, *open_)))

"""Looks up short words and splits them into pieces with NumPy.

A word of up to 16 Latin-1 characters is represented by two 64-bit numbers: its bytes, padded with zeros. So words are
equal if their numbers are, and a hash table needs no strings.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kbert.text.vocabulary import CONTINUATION, Vocabulary

SHORT = 16
"""The maximum length in characters of a word that fits into two 64-bit numbers."""
_BEGINNING = 4
"""The number of characters by which places are filtered before longer pieces are looked up."""
_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)
"""Masks for the lowest 0 to 8 bytes of a 64-bit number."""
_FIRST_FACTOR, _SECOND_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd factors for hashing whose bits are well distributed: 2^64 divided by the golden ratio, and a prime."""


class ShortPieces:
    """Splits words of up to 16 Latin-1 characters into the pieces of a vocabulary.

    Args:
        vocabulary: The vocabulary.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._unknown_id = vocabulary.unk_id
        continuations = {
            token[len(CONTINUATION) :]: index
            for token, index in vocabulary.piece_ids.items()
            if token.startswith(CONTINUATION)
        }
        self._tables = [self._table(tokens) for tokens in (vocabulary.piece_ids, continuations)]

    def _table(self, tokens: Mapping[str, int]) -> tuple[ShortTable, int, ShortTable]:
        """Returns a table of the pieces, their maximum length, and a table of the beginnings of longer pieces."""
        # Pieces with a NUL are left out, since they look like shorter pieces. No word contains a NUL.
        short = [token for token in tokens if 0 < len(token) <= SHORT and max(token) <= "\xff" and "\0" not in token]
        lengths = np.array([len(token) for token in short], np.int64)
        characters = np.frombuffer("".join(short).encode("latin-1"), np.uint8)
        table = ShortTable()
        table.add(
            *short_keys(eights_of(characters), np.cumsum(lengths) - lengths, lengths),
            np.array([tokens[token] for token in short], np.int64),
        )
        starts = np.cumsum(lengths) - lengths
        long = np.flatnonzero(lengths > _BEGINNING)
        first, second = short_keys(eights_of(characters), starts[long], np.full(len(long), _BEGINNING))
        first, unique = np.unique(first, return_index=True)
        beginnings = ShortTable()
        beginnings.add(first, second[unique], np.arange(len(first)))
        return table, int(lengths.max(initial=0)), beginnings

    def ids(self, eights: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Splits words into pieces.

        First, the longest piece at every position of every word is found. Then the pieces are followed from the
        beginning of each word.

        Args:
            eights: The characters that the words are in, as `eights_of` returns them.
            starts: The index of the first character of each word.
            lengths: The number of characters in each word.

        Returns:
            The pieces of all words, concatenated, int32, and the end of each word in them.
        """
        word_ends = np.cumsum(lengths)
        word_begins = word_ends - lengths
        offsets = np.arange(word_ends[-1]) - np.repeat(word_begins, lengths)
        places = np.repeat(starts, lengths) + offsets
        rest = np.repeat(lengths, lengths) - offsets
        pieces = np.full(len(places), -1, np.int32)
        sizes = np.zeros(len(places), np.int64)
        for (table, longest, beginnings), chosen in zip(self._tables, (offsets == 0, offsets > 0), strict=True):
            open_ = np.flatnonzero(chosen)
            begun = beginnings.find(*short_keys(eights, places[open_], np.full(len(open_), _BEGINNING)))
            long = open_[begun >= 0]
            for size in range(min(longest, SHORT), 0, -1):
                if size == _BEGINNING:
                    open_ = open_[sizes[open_] == 0]
                tried = long if size > _BEGINNING else open_
                fits = tried[rest[tried] >= size]
                if not len(fits):
                    continue
                found = table.find(*short_keys(eights, places[fits], np.full(len(fits), size)))
                hit = fits[found >= 0]
                pieces[hit], sizes[hit] = found[found >= 0], size
                if size > _BEGINNING:
                    long = long[sizes[long] == 0]
                else:
                    open_ = open_[sizes[open_] == 0]

        used = np.zeros(len(places), bool)
        spelled = np.ones(len(starts), bool)
        words, at = np.arange(len(starts)), word_begins
        while len(words):
            used[at] = True
            step = sizes[at]
            spelled[words[step == 0]] = False
            at = at + step
            goes_on = (step > 0) & (at < word_ends[words])
            words, at = words[goes_on], at[goes_on]
        used &= np.repeat(spelled, lengths)
        used[word_begins[~spelled]] = True
        pieces[word_begins[~spelled]] = self._unknown_id
        return pieces[used], np.cumsum(used)[word_ends - 1]


class ShortTable:
    """A hash table with open addressing that maps words of up to 16 bytes, as two 64-bit numbers, to integers."""

    def __init__(self) -> None:
        self._bits = 10
        self._make()

    def _make(self) -> None:
        # Empty places hold the number -1.
        self._first = np.zeros(1 << self._bits, np.uint64)
        self._second = np.zeros(1 << self._bits, np.uint64)
        self._numbers = np.full(1 << self._bits, -1, np.int64)
        self._size = 0

    def find(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Returns the integer of each word, or -1 for words that are not in the table."""
        places = self._places(first, second)
        numbers = self._numbers[places]
        other = np.flatnonzero(((self._first[places] != first) | (self._second[places] != second)) & (numbers >= 0))
        while len(other):
            places[other] = (places[other] + 1) & (len(self._numbers) - 1)
            moved = places[other]
            numbers[other] = self._numbers[moved]
            differ = (self._first[moved] != first[other]) | (self._second[moved] != second[other])
            other = other[differ & (numbers[other] >= 0)]
        return numbers

    def add(self, first: np.ndarray, second: np.ndarray, numbers: np.ndarray) -> None:
        """Adds distinct words that are not yet in the table."""
        if 2 * (self._size + len(numbers)) > len(self._numbers):
            taken = self._numbers >= 0
            first = np.concatenate([self._first[taken], first])
            second = np.concatenate([self._second[taken], second])
            numbers = np.concatenate([self._numbers[taken], numbers])
            while 2 * len(numbers) > 1 << self._bits:
                self._bits += 1
            self._make()
        self._size += len(numbers)
        places = self._places(first, second)
        rest = np.arange(len(numbers))
        while len(rest):
            free = rest[self._numbers[places[rest]] < 0]
            self._numbers[places[free]] = numbers[free]  # if several words have the same place, the last is stored
            won = free[self._numbers[places[free]] == numbers[free]]
            self._first[places[won]], self._second[places[won]] = first[won], second[won]
            rest = np.setdiff1d(rest, won, assume_unique=True)
            places[rest] = (places[rest] + 1) & (len(self._numbers) - 1)

    def _places(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        mixed = first * _FIRST_FACTOR ^ second * _SECOND_FACTOR
        mixed ^= mixed >> np.uint64(32)
        return (mixed * _FIRST_FACTOR >> np.uint64(64 - self._bits)).astype(np.int64)


def eights_of(characters: np.ndarray) -> np.ndarray:
    """Returns, for each Latin-1 character (one byte), the eight bytes from it on as a 64-bit number."""
    data = np.zeros(len(characters) + SHORT, np.uint8)
    data[: len(characters)] = characters
    return np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))


def short_keys(eights: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bytes of words of up to 16 Latin-1 characters as two 64-bit numbers each."""
    first = eights[starts] & _BYTES[np.minimum(lengths, 8)]
    second = eights[starts + 8] & _BYTES[np.maximum(lengths - 8, 0)]
    return first, second

"""Ids of many texts at once, for corpora: the same ids as `Tokenizer.ids`, in NumPy where Python is slow."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Mapping, Sequence

import numpy as np

from kbert.text.normalization import SIGMA, SPACE, Normalizer, ReplacementTable
from kbert.text.tokenizer import Tokenizer
from kbert.text.vocabulary import CONTINUATION, Vocabulary
from kbert.text.wordpiece import WordPiece

_BLOCK = 1 << 18
"""Characters that are worked on together: few enough for their arrays to stay in a core's cache."""
_KNOWN_WORDS = 1 << 16
"""A bound keeps memory flat however much text goes by."""
_CODE_POINTS = 0x110000
_UNMET = 255
_SHORT = 16
_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)
"""The lowest 0 to 8 bytes of a 64-bit number."""
_FIRST_FACTOR, _SECOND_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd numbers with bits everywhere: 2^64 by the golden ratio, and a prime."""


class BulkTokenizer:
    """Tokenizes many texts with one call.

    Args:
        tokenizer: The tokenizer whose ids are wanted.

    Example:
        >>> ids, ends = BulkTokenizer(tokenizer).ids(["a dog", "the cat sat"])
        >>> ends.tolist()
        [2, 5]
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._normalizer = _BulkNormalizer(tokenizer.normalizer)
        self._words = _Words(tokenizer.wordpiece)

    def ids(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Gives the ids of all texts joined, int32 [N], and where each text's end, int64 [len(texts)]."""
        all_ids, all_ends = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        first, characters, total = 0, 0, 0
        for last, text in enumerate(texts, start=1):
            characters += len(text)
            if characters >= _BLOCK or last == len(texts):
                words, word_ends = self._normalizer(texts[first:last])
                ids, ends = self._words.ids(words)
                all_ids.append(ids)
                all_ends.append(ends[word_ends] + total)
                total += len(ids)
                first, characters = last, 0
        return np.concatenate(all_ids), np.concatenate(all_ends)


@dataclasses.dataclass(frozen=True)
class _WordArrays:
    """The words of some texts.

    Args:
        characters: Code points, words separated by spaces, uint32 [N].
        starts: Where each word begins, int64 [W].
        lengths: Its characters, int64 [W].
    """

    characters: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


class _BulkNormalizer:
    """The table of a `Normalizer` as arrays: each code point's replacement, where it lies and how long it is."""

    def __init__(self, normalizer: Normalizer) -> None:
        self._normalizer = normalizer
        self._table: ReplacementTable = normalizer.table
        self._lengths = np.full(_CODE_POINTS, _UNMET, np.uint8)
        self._firsts = np.zeros(_CODE_POINTS, np.uint32)
        self._starts = np.zeros(_CODE_POINTS, np.int32)
        self._replacements = np.zeros(0, np.uint32)

    def __call__(self, texts: Sequence[str]) -> tuple[_WordArrays, np.ndarray]:
        """Gives the words of all texts, and how many there are up to the end of each."""
        if self._normalizer.lowercase:
            texts = [self._normalizer.with_final_sigmas(text) if SIGMA in text else text for text in texts]
        codes = np.frombuffer(SPACE.join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        lengths = self._lengths[codes]
        if (lengths == _UNMET).any():
            self._meet(np.unique(codes[lengths == _UNMET]))
            lengths = self._lengths[codes]
        ends = np.cumsum(lengths, dtype=np.int64)
        begins = ends - lengths
        characters = np.empty(ends[-1] if len(ends) else 0, np.uint32)
        if lengths.min(initial=1):
            characters[begins] = self._firsts[codes]
        else:
            kept = np.flatnonzero(lengths)
            characters[begins[kept]] = self._firsts[codes[kept]]
        longer = np.flatnonzero(lengths > 1)
        for place in range(1, int(lengths.max(initial=0))):
            longer = longer[lengths[longer] > place]
            characters[begins[longer] + place] = self._replacements[self._starts[codes[longer]] + place]

        inside = np.zeros(len(characters) + 2, bool)
        np.not_equal(characters, ord(SPACE), out=inside[1:-1])
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        words = _WordArrays(characters, edges[::2], edges[1::2] - edges[::2])
        last_character = np.cumsum([len(text) + 1 for text in texts]) - 2
        text_ends = np.where(last_character < 0, 0, ends[last_character]) if len(ends) else last_character * 0
        return words, np.searchsorted(words.starts, text_ends)

    def _meet(self, codes: np.ndarray) -> None:
        """Takes the replacements of further code points over from the table."""
        replacements = [self._table[int(code)] for code in codes]
        lengths = np.array([len(replacement) for replacement in replacements])
        begin = len(self._replacements)
        self._starts[codes] = begin + np.cumsum(lengths) - lengths
        self._lengths[codes] = lengths
        joined = np.frombuffer("".join(replacements).encode("utf-32-le", "surrogatepass"), np.uint32)
        self._replacements = np.concatenate([self._replacements, joined])
        kept = codes[lengths > 0]
        self._firsts[kept] = self._replacements[self._starts[kept]]


class _Words:
    """Numbers words as they are met, and knows the pieces of each number.

    Words of one character are looked up in a table of code points, others of up to 16 Latin-1 characters in a hash
    table of NumPy arrays, all others in a dict. When there are too many words, all are forgotten.
    """

    def __init__(self, wordpiece: WordPiece) -> None:
        self._wordpiece = wordpiece
        self._short_pieces = _ShortPieces(wordpiece.vocabulary)
        self._forget()

    def _forget(self) -> None:
        self._pieces, self._ends = array("i"), array("q", [0])
        self._characters = np.full(_CODE_POINTS, -1, np.int32)
        self._short = _ShortTable()
        self._others: dict[str, int] = {}

    def ids(self, words: _WordArrays) -> tuple[np.ndarray, np.ndarray]:
        """Gives the pieces of all words joined, int32, and [0, the end of each word's]."""
        if len(self._ends) > _KNOWN_WORDS:
            self._forget()
        numbers = self._find(words)
        pieces, bounds = np.array(self._pieces, np.int32), np.array(self._ends, np.int64)
        starts = bounds[numbers]
        counts = bounds[numbers + 1] - starts
        ends = np.zeros(len(numbers) + 1, np.int64)
        np.cumsum(counts, out=ends[1:])
        places = np.repeat(starts - ends[:-1], counts) + np.arange(ends[-1])
        return pieces[places], ends

    def _find(self, words: _WordArrays) -> np.ndarray:
        """The number of each word, int64 [W]; words that are new get one."""
        numbers = np.empty(len(words.starts), np.int64)
        is_single = words.lengths == 1
        is_short = ~is_single & (words.lengths <= _SHORT)
        wide = np.flatnonzero(words.characters > 0xFF)
        is_short[np.searchsorted(words.starts, wide, side="right") - 1] = False
        single, short = np.flatnonzero(is_single), np.flatnonzero(is_short)
        numbers[single] = self._find_single(words.characters[words.starts[single]])
        numbers[short] = self._find_short(words, short)
        others = np.flatnonzero(~is_single & ~is_short)
        for index, start, length in zip(
            others.tolist(), words.starts[others].tolist(), words.lengths[others].tolist(), strict=True
        ):
            word = words.characters[start : start + length].tobytes().decode("utf-32-le", "surrogatepass")
            number = self._others.get(word)
            if number is None:
                number = self._others[word] = self._add(self._wordpiece.word_ids(word))
            numbers[index] = number
        return numbers

    def _find_single(self, codes: np.ndarray) -> np.ndarray:
        numbers = self._characters[codes]
        if (numbers < 0).any():
            for code in np.unique(codes[numbers < 0]).tolist():
                self._characters[code] = self._add(self._wordpiece.word_ids(chr(code)))
            numbers = self._characters[codes]
        return numbers

    def _find_short(self, words: _WordArrays, chosen: np.ndarray) -> np.ndarray:
        eights = _eights(words.characters)
        starts, lengths = words.starts[chosen], words.lengths[chosen]
        first, second = _short_keys(eights, starts, lengths)
        numbers = self._short.find(first, second)
        missing = np.flatnonzero(numbers < 0)
        if len(missing):
            missing = missing[np.lexsort((second[missing], first[missing]))]
            same = (np.diff(first[missing]) == 0) & (np.diff(second[missing]) == 0)
            new = missing[np.concatenate([[True], ~same])]
            pieces, ends = self._short_pieces.ids(eights, starts[new], lengths[new])
            known = len(self._ends) - 1
            self._ends.frombytes((ends + self._ends[-1]).tobytes())
            self._pieces.frombytes(pieces.tobytes())
            self._short.add(first[new], second[new], known + np.arange(len(new)))
            numbers[missing] = self._short.find(first[missing], second[missing])
        return numbers

    def _add(self, pieces: Sequence[int]) -> int:
        self._pieces.extend(pieces)
        self._ends.append(len(self._pieces))
        return len(self._ends) - 2


class _ShortPieces:
    """The pieces of a vocabulary that have up to 16 Latin-1 characters, and words of as many spelled with them.

    Args:
        vocabulary: The vocabulary.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._unknown_id = vocabulary.unknown_id
        continuations = {
            token[len(CONTINUATION) :]: index
            for token, index in vocabulary.ids.items()
            if token.startswith(CONTINUATION)
        }
        self._tables = [self._table(tokens) for tokens in (vocabulary.ids, continuations)]

    def _table(self, tokens: Mapping[str, int]) -> tuple[_ShortTable, int]:
        # A NUL, which no word holds, would be taken for the end of the piece.
        short = [token for token in tokens if 0 < len(token) <= _SHORT and max(token) <= "\xff" and "\0" not in token]
        lengths = np.array([len(token) for token in short], np.int64)
        characters = np.frombuffer("".join(short).encode("latin-1"), np.uint8)
        table = _ShortTable()
        table.add(
            *_short_keys(_eights(characters), np.cumsum(lengths) - lengths, lengths),
            np.array([tokens[token] for token in short], np.int64),
        )
        return table, int(lengths.max(initial=0))

    def ids(self, eights: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gives the pieces of all words joined, int32, and where each word's end.

        First the longest piece at every place of every word is found, then the words are gone through.
        """
        word_ends = np.cumsum(lengths)
        word_begins = word_ends - lengths
        offsets = np.arange(word_ends[-1]) - np.repeat(word_begins, lengths)
        places = np.repeat(starts, lengths) + offsets
        rest = np.repeat(lengths, lengths) - offsets
        pieces = np.full(len(places), -1, np.int32)
        sizes = np.zeros(len(places), np.int64)
        for (table, longest), chosen in zip(self._tables, (offsets == 0, offsets > 0), strict=True):
            open_ = np.flatnonzero(chosen)
            for size in range(min(longest, _SHORT), 0, -1):
                fits = open_[rest[open_] >= size]
                if not len(fits):
                    continue
                found = table.find(*_short_keys(eights, places[fits], np.full(len(fits), size)))
                hit = fits[found >= 0]
                pieces[hit], sizes[hit] = found[found >= 0], size
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


class _ShortTable:
    """A hash table with open addressing: words of up to 16 bytes, as two 64-bit numbers, to their numbers."""

    def __init__(self) -> None:
        self._bits = 10
        self._make()

    def _make(self) -> None:
        # Empty places hold 0, which is no word, and a number that says so.
        self._first = np.zeros(1 << self._bits, np.uint64)
        self._second = np.zeros(1 << self._bits, np.uint64)
        self._numbers = np.full(1 << self._bits, -1, np.int64)
        self._size = 0

    def find(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The number of each word, -1 for those that are not known."""
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
        """Adds words that are not in the table, each once."""
        if 2 * (self._size + len(numbers)) > len(self._numbers):
            taken = self._numbers >= 0
            first = np.concatenate([self._first[taken], first])
            second = np.concatenate([self._second[taken], second])
            numbers = np.concatenate([self._numbers[taken], numbers])
            while 2 * len(numbers) > 1 << self._bits:
                self._bits += 2
            self._make()
        self._size += len(numbers)
        places = self._places(first, second)
        rest = np.arange(len(numbers))
        while len(rest):
            free = rest[self._numbers[places[rest]] < 0]
            self._numbers[places[free]] = numbers[free]  # of several for one place the last stays
            won = free[self._numbers[places[free]] == numbers[free]]
            self._first[places[won]], self._second[places[won]] = first[won], second[won]
            rest = np.setdiff1d(rest, won, assume_unique=True)
            places[rest] = (places[rest] + 1) & (len(self._numbers) - 1)

    def _places(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        mixed = first * _FIRST_FACTOR ^ second * _SECOND_FACTOR
        mixed ^= mixed >> np.uint64(32)
        return (mixed * _FIRST_FACTOR >> np.uint64(64 - self._bits)).astype(np.int64)


def _eights(characters: np.ndarray) -> np.ndarray:
    """The eight bytes from each character on as one 64-bit number, Latin-1 characters being a byte each."""
    data = np.zeros(len(characters) + _SHORT, np.uint8)
    data[: len(characters)] = characters
    return np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))


def _short_keys(eights: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of words of up to 16 Latin-1 characters as two 64-bit numbers each."""
    first = eights[starts] & _BYTES[np.minimum(lengths, 8)]
    second = eights[starts + 8] & _BYTES[np.maximum(lengths - 8, 0)]
    return first, second

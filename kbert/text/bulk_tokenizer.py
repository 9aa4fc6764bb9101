"""Tokenizes many texts at once with NumPy, to build corpora. The ids are the same as those of `Tokenizer.ids`."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Sequence

import numpy as np

from kbert.text.normalization import Normalizer, until_nul
from kbert.text.replacement_table import SIGMA, SPACE, ReplacementTable
from kbert.text.short_words import SHORT, ShortPieces, ShortTable, eights_of, short_keys
from kbert.text.tokenizer import Tokenizer
from kbert.text.wordpiece import WordPiece

_BLOCK = 1 << 18
"""The number of characters that are processed at once: few enough for their arrays to stay in a core's cache."""
_KNOWN_WORDS = 1 << 15
"""The number of words above which no further words are cached, which bounds memory."""
_CODE_POINTS = 0x110000
_UNMET = 255


class BulkTokenizer:
    """Tokenizes many texts with one call.

    Args:
        tokenizer: The tokenizer whose ids are computed.

    Example:
        >>> ids, ends = BulkTokenizer(tokenizer).ids(["a dog", "the cat sat"])
        >>> ends.tolist()
        [2, 5]
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.long_words = 0
        """The number of words so far that are longer than the tokenizer's limit. Each of them is one [UNK]."""
        self._normalizer = _BulkNormalizer(tokenizer.normalizer)
        self._words = _Words(tokenizer.wordpiece)
        self._longest = tokenizer.wordpiece.max_word_length
        self._most_bytes = tokenizer.wordpiece.max_word_bytes

    def ids(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the ids of all texts, concatenated, int32 [N], and the end of each text, int64 [len(texts)]."""
        single = self._single_texts(texts)
        if not single:
            return self._bulk_ids(texts)
        others = [text for index, text in enumerate(texts) if index not in single]
        ids, ends = self._bulk_ids(others)
        parts = np.split(ids, ends[:-1]) if others else []
        for index in sorted(single):
            parts.insert(index, np.array(self._single_ids(texts[index]), np.int32))
        return np.concatenate(parts), np.cumsum([len(part) for part in parts], dtype=np.int64)

    def _single_texts(self, texts: Sequence[str]) -> set[int]:
        """Returns the indices of the texts to tokenize one by one, since they may contain tokens that span words."""
        if self._longest < SHORT:  # an unusually low limit, which the fast path does not support
            return set(range(len(texts)))
        text_tokens = self.tokenizer.text_tokens
        if not text_tokens:
            return set()
        table = self.tokenizer.normalizer.table
        return {index for index, text in enumerate(texts) if text_tokens.may_stand_in(text, table)}

    def _single_ids(self, text: str) -> list[int]:
        words = self.tokenizer.normalizer.words(text)
        self.long_words += sum(map(self.tokenizer.wordpiece.is_too_long, words))
        return self.tokenizer.wordpiece.ids(words)

    def _bulk_ids(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        all_ids, all_ends = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        first, characters, total = 0, 0, 0
        for last, text in enumerate(texts, start=1):
            characters += len(text)
            if characters >= _BLOCK or last == len(texts):
                words, word_ends = self._normalizer(texts[first:last])
                self.long_words += int(np.count_nonzero(words.too_long(self._longest, self._most_bytes)))
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
        characters: The code points, with spaces between words, uint32 [N].
        starts: The index of the first character of each word, int64 [W].
        lengths: The number of characters in each word, int64 [W].
    """

    characters: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    def too_long(self, longest: int, most_bytes: int | None) -> np.ndarray:
        """Returns which words are longer than the limits in characters and in bytes of UTF-8, bool [W]."""
        too_long = self.lengths > longest
        if most_bytes is not None:
            widths = 1 + sum((self.characters >= wider).astype(np.int64) for wider in (0x80, 0x800, 0x10000))
            before = np.concatenate([[0], np.cumsum(widths)])
            too_long |= before[self.starts + self.lengths] - before[self.starts] > most_bytes
        return too_long


class _BulkNormalizer:
    """Normalizes texts with the table of a `Normalizer`, stored as arrays.

    The arrays hold, for each code point, the place, length and first character of its replacement.

    Args:
        normalizer: The normalizer.
    """

    def __init__(self, normalizer: Normalizer) -> None:
        self._normalizer = normalizer
        self._table: ReplacementTable = normalizer.table
        self._lengths = np.full(_CODE_POINTS, _UNMET, np.uint8)
        self._firsts = np.zeros(_CODE_POINTS, np.uint32)
        self._starts = np.zeros(_CODE_POINTS, np.int32)
        self._replacements = np.zeros(0, np.uint32)

    def __call__(self, texts: Sequence[str]) -> tuple[_WordArrays, np.ndarray]:
        """Returns the words of all texts, and the number of words up to the end of each text."""
        if self._table.ends_at_nul:
            texts = [until_nul(text) for text in texts]
        if self._table.final_sigmas:
            texts = [self._normalizer.with_final_sigmas(text) if SIGMA in text else text for text in texts]
        codes = np.frombuffer(SPACE.join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        lengths = self._lengths.take(codes)  # twice as fast as indexing
        if (lengths == _UNMET).any():
            self._meet(np.unique(codes[lengths == _UNMET]))
            lengths = self._lengths.take(codes)
        ends = np.cumsum(lengths, dtype=np.int64)
        begins = ends - lengths
        characters = np.empty(ends[-1] if len(ends) else 0, np.uint32)
        if lengths.min(initial=1):
            characters[begins] = self._firsts.take(codes)
        else:
            kept = np.flatnonzero(lengths)
            characters[begins[kept]] = self._firsts.take(codes[kept])
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
        """Copies the replacements of further code points from the table into the arrays."""
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
    """Assigns numbers to words on first sight, and stores the pieces of each number.

    Words of one character are looked up in a table of code points, other words of up to 16 Latin-1 characters in a hash
    table of NumPy arrays, and all others in a dict. When the table is full, new words get numbers for a single call
    only; clearing the table instead is not faster, and needs more memory.

    Args:
        wordpiece: Splits words into pieces.
    """

    def __init__(self, wordpiece: WordPiece) -> None:
        self._wordpiece = wordpiece
        self._short_pieces = ShortPieces(wordpiece.vocabulary)
        self._pieces, self._ends = array("i"), array("q", [0])
        self._characters = np.full(_CODE_POINTS, -1, np.int32)
        self._short = ShortTable()
        self._others: dict[str, int] = {}

    def ids(self, words: _WordArrays) -> tuple[np.ndarray, np.ndarray]:
        """Returns the pieces of all words, concatenated, int32, and a 0 followed by the end of each word's pieces."""
        numbers = np.empty(len(words.starts), np.int64)
        is_single = words.lengths == 1
        single = np.flatnonzero(is_single)
        # Single characters come first and are always kept, since their table has its full size from the start.
        numbers[single] = self._find_single(words.characters[words.starts[single]])
        known = len(self._ends)
        learns = known <= _KNOWN_WORDS
        is_short = ~is_single & (words.lengths <= SHORT)
        wide = np.flatnonzero(words.characters > 0xFF)
        is_short[np.searchsorted(words.starts, wide, side="right") - 1] = False
        short, others = np.flatnonzero(is_short), np.flatnonzero(~is_single & ~is_short)
        numbers[short] = self._find_short(words, short, learns)
        numbers[others] = self._find_others(words, others, learns)
        pieces, bounds = np.array(self._pieces, np.int32), np.array(self._ends, np.int64)
        if not learns:
            del self._ends[known:]
            del self._pieces[self._ends[-1] :]
        starts = bounds[numbers]
        counts = bounds[numbers + 1] - starts
        ends = np.zeros(len(numbers) + 1, np.int64)
        np.cumsum(counts, out=ends[1:])
        places = np.repeat(starts - ends[:-1], counts) + np.arange(ends[-1])
        return pieces[places], ends

    def _find_single(self, codes: np.ndarray) -> np.ndarray:
        numbers = self._characters[codes]
        if (numbers < 0).any():
            for code in np.unique(codes[numbers < 0]).tolist():
                self._characters[code] = self._add(self._wordpiece.word_ids(chr(code)))
            numbers = self._characters[codes]
        return numbers

    def _find_short(self, words: _WordArrays, chosen: np.ndarray, learns: bool) -> np.ndarray:
        eights = eights_of(words.characters)
        starts, lengths = words.starts[chosen], words.lengths[chosen]
        first, second = short_keys(eights, starts, lengths)
        numbers = self._short.find(first, second)
        missing = np.flatnonzero(numbers < 0)
        if len(missing):
            missing = missing[np.lexsort((second[missing], first[missing]))]
            is_new = np.ones(len(missing), bool)
            is_new[1:] = (np.diff(first[missing]) != 0) | (np.diff(second[missing]) != 0)
            new = missing[is_new]
            pieces, ends = self._short_pieces.ids(eights, starts[new], lengths[new])
            known = len(self._ends) - 1
            self._ends.frombytes((ends + self._ends[-1]).tobytes())
            self._pieces.frombytes(pieces.tobytes())
            numbers[missing] = known + np.cumsum(is_new) - 1
            if learns:
                self._short.add(first[new], second[new], known + np.arange(len(new)))
        return numbers

    def _find_others(self, words: _WordArrays, chosen: np.ndarray, learns: bool) -> list[int]:
        numbers = []
        new = self._others if learns else {}
        for start, length in zip(words.starts[chosen].tolist(), words.lengths[chosen].tolist(), strict=True):
            word = words.characters[start : start + length].tobytes().decode("utf-32-le", "surrogatepass")
            number = self._others.get(word, new.get(word))
            if number is None:
                number = new[word] = self._add(self._wordpiece.word_ids(word))
            numbers.append(number)
        return numbers

    def _add(self, pieces: Sequence[int]) -> int:
        self._pieces.extend(pieces)
        self._ends.append(len(self._pieces))
        return len(self._ends) - 2

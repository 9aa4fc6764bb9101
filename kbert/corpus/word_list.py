"""Finds words with a word list where the token ids do not show them, as in Chinese, where each character is a token."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import numpy as np

from kbert import files
from kbert.errors import DataError
from kbert.text.tokenizer import Tokenizer

_FREQUENCY_LINE = re.compile(r"(\S+) \d+( \S+)?")
"""A line of a dictionary for Chinese word segmentation: word, frequency, and optionally part of speech."""


def read_word_list(path: files.PathLike) -> tuple[str, ...]:
    """Reads a file of words, one per line, and returns them sorted.

    In lines such as "word frequency", and in lines with a tab, only the word before it is used.

    Raises:
        DataError: The file is not UTF-8, or contains no words.
    """
    words = set()
    for line in files.read_lines(path):
        word = line.split("\t", 1)[0].strip()
        frequency_line = _FREQUENCY_LINE.fullmatch(word)
        words.add(frequency_line[1] if frequency_line else word)
    words.discard("")
    if not words:
        raise DataError("expected one word per line. The file contains none", path)
    return tuple(sorted(words))


def words_sha256(words: Iterable[str]) -> str:
    """Returns the SHA-256 of a list of words."""
    return hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()


class WordFinder:
    """Finds words of several tokens by greedy longest match, from left to right.

    Args:
        words: The words to find. Words that contain [UNK] when tokenized are ignored.
        tokenizer: The tokenizer of the ids to search in.
    """

    def __init__(self, words: Iterable[str], tokenizer: Tokenizer) -> None:
        # A trie as two arrays: the sorted edges, each with (state, id) as one number, and the state each leads to.
        self._size = len(tokenizer.vocabulary)
        trie: dict[int, int] = {}
        ends = {0: False}
        for word in words:
            ids = tokenizer.ids(word)
            if len(ids) < 2 or tokenizer.vocabulary.unk_id in ids:
                continue
            state = 0
            for index in ids:
                state = trie.setdefault(state * self._size + index, len(ends))
                ends.setdefault(state, False)
            ends[state] = True
        self._edges = np.array(sorted(trie), np.int64)
        self._states = np.array([trie[edge] for edge in self._edges.tolist()], np.int64)
        self._is_end = np.array([ends[state] for state in range(len(ends))])

    def continuations(self, ids: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Marks the tokens that continue a word of the list.

        Args:
            ids: The token ids of several texts, concatenated, int32 [N].
            ends: The end of each text in `ids`; words do not extend across texts.

        Returns:
            Whether each token continues a word, bool [N].
        """
        longest = np.ones(len(ids), np.int64)
        text_ends = np.repeat(ends, np.diff(ends, prepend=0))
        places = np.arange(len(ids))
        states = np.zeros(len(ids), np.int64)
        depth = 0
        while len(places) and len(self._edges):
            inside = places + depth < text_ends[places]
            places, states = places[inside], states[inside]
            wanted = states * self._size + ids[places + depth]
            found = np.minimum(np.searchsorted(self._edges, wanted), len(self._edges) - 1)
            hit = self._edges[found] == wanted
            places, states = places[hit], self._states[found[hit]]
            depth += 1
            longest[places[self._is_end[states]]] = depth
        marks = np.zeros(len(ids), bool)
        free = 0
        starts = np.flatnonzero(longest > 1)
        for start, length in zip(starts.tolist(), longest[starts].tolist(), strict=True):
            if start >= free:
                free = start + length
                marks[start + 1 : free] = True
        return marks

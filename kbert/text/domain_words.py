"""Finds the words of a text that a vocabulary splits most, so that the vocabulary can be extended by them."""

from __future__ import annotations

from collections.abc import Mapping

from kbert.text.wordpiece import WordPiece


def domain_words(
    counts: Mapping[str, int], wordpiece: WordPiece, *, limit: int, minimum_frequency: int = 5
) -> list[str]:
    """Chooses the words whose entries save most tokens: number of occurrences × (pieces - 1).

    A word that is [UNK] counts as two pieces, since [UNK] carries no information.

    Args:
        counts: The normalized words with their numbers of occurrences.
        wordpiece: Splits words with the current vocabulary.
        limit: The maximum number of words to return.
        minimum_frequency: The minimum number of occurrences. Embeddings of rarer words would hardly be trained.

    Returns:
        The words, those that save most tokens first, then by code point.
    """
    unknown = wordpiece.vocabulary.unk_id
    savings: list[tuple[int, str]] = []
    for word, count in counts.items():
        if count < minimum_frequency or len(word) > wordpiece.max_word_length or word in wordpiece.given:
            continue
        pieces = [piece for piece, _ in wordpiece.pieces(word)]
        saved = 1 if pieces == [unknown] else len(pieces) - 1
        if saved:
            savings.append((-count * saved, word))
    return [word for _, word in sorted(savings)[:limit]]

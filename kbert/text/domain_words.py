"""The words of a text that a vocabulary splits most: what it should be extended by."""

from __future__ import annotations

from collections.abc import Mapping

from kbert.text.wordpiece import WordPiece


def domain_words(
    counts: Mapping[str, int], wordpiece: WordPiece, *, limit: int, minimum_frequency: int = 5
) -> list[str]:
    """Chooses the words whose entries would save most tokens: times seen × (pieces - 1).

    A word that cannot be spelled counts as two pieces: one token stands for it already, but says nothing.

    Args:
        counts: Normalized words and how often they were seen.
        wordpiece: Splits words as the vocabulary does today.
        limit: How many words at most.
        minimum_frequency: Words seen less are left out: their embeddings would hardly be learnt.

    Returns:
        Words in the order of what they save; those of equal savings by code point.
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

"""Words that a tokenizer cannot represent, and a message about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from kbert.errors import cut
from kbert.text.tokenizer import Tokenizer

_SAMPLED = 1 << 18
"""The number of characters that are examined."""
_NAMED = 5
"""The number of words that a message names."""
_LEAST = 0.01
"""A message names only words that are at least this part of the unknown words."""
_LEAST_WITH = 0.05
"""A message names only characters that are in at least this part of the unknown words."""
_SHOWN = 20
"""The number of characters of a word that a message shows."""


def unknown_words(texts: Iterable[str], tokenizer: Tokenizer) -> Counter[str]:
    """Returns how often each word occurs that becomes [UNK], in a sample from the beginning of the texts.

    Words are normalized. Words that are longer than the tokenizer's limit are left out, since no vocabulary helps them.

    Args:
        texts: The texts.
        tokenizer: The tokenizer.
    """
    counts: Counter[str] = Counter()
    left = _SAMPLED
    for text in texts:
        counts.update(tokenizer.normalizer.words(text[:left]))
        left -= len(text)
        if left <= 0:
            break
    pieces, unknown = tokenizer.wordpiece.word_ids, (tokenizer.vocabulary.unk_id,)
    is_too_long = tokenizer.wordpiece.is_too_long
    return Counter({word: n for word, n in counts.items() if not is_too_long(word) and pieces(word) == unknown})


def long_words(texts: Iterable[str], tokenizer: Tokenizer) -> tuple[int, str | None]:
    """Returns the number of words that are longer than the tokenizer's limit, and the first of them or None."""
    longest = tokenizer.settings.max_word_length
    count, first = 0, None
    for text in texts:
        if len(text) <= longest or max(map(len, text.split()), default=0) <= longest:
            continue
        for word in tokenizer.normalizer.words(text):
            if len(word) > longest:
                count += 1
                first = first or word
    return count, first


def missing_characters(words: Counter[str], vocabulary: Iterable[str]) -> Counter[str]:
    """Returns in how many unknown words each character occurs that no entry of the vocabulary contains.

    Args:
        words: The unknown words with their numbers, from `unknown_words`.
        vocabulary: The entries of the vocabulary.

    Example:
        >>> missing_characters(Counter({"dağ": 2, "ğ": 1, "zoo": 1}), ["d", "##a", "z", "o"])
        Counter({'ğ': 3})
    """
    known = {character for entry in vocabulary for character in entry}
    found: Counter[str] = Counter()
    for word, count in words.items():
        found.update(dict.fromkeys(sorted(set(word) - known), count))
    return found


def describe_unknown(part: float, words: Counter[str], vocabulary: Iterable[str]) -> str:
    """Returns the beginning of a message about [UNK] tokens.

    Args:
        part: The part of the tokens that are [UNK].
        words: The unknown words in a sample, from `unknown_words`.
        vocabulary: The entries of the vocabulary.

    Example:
        >>> describe_unknown(0.042, Counter({"，": 3, "ﬁn": 1}), ["in"])
        "4.2% of the tokens are [UNK], most often for '，' (75% of them), 'ﬁn' (25%); no token has 'ﬁ' (in 25%)"
    """
    total = max(1, words.total())
    named = [(word, count / total) for word, count in words.most_common(_NAMED) if count >= _LEAST * total]
    shown = [
        f"{cut(word, _SHOWN)!r} ({share:.0%}{'' if place else ' of them'})" for place, (word, share) in enumerate(named)
    ]
    often = f", most often for {', '.join(shown)}" if shown else ""
    characters = [
        f"{character!r} (in {count / total:.0%})"
        for character, count in missing_characters(words, vocabulary).most_common(2 * _NAMED)
        if count >= _LEAST_WITH * total and character not in dict(named)
    ]
    lacking = f"; no token has {', '.join(characters[:_NAMED])}" if characters else ""
    return f"{part:.1%} of the tokens are [UNK]{often}{lacking}"

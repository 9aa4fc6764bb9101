"""Search by common words, without a model: the baseline of evaluations, and what the app does without weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class WordSearch:
    """Compares texts by TF-IDF vectors of words, of parts of words, and of the characters of Chinese.

    Args:
        texts: The texts that are searched.

    Example:
        >>> from apps.customer_service.word_search import WordSearch
        >>> search = WordSearch(["Where is my card?", "How do I pay?", "怎么付款"])
        >>> search.scores(["my card is lost", "我要付款"]).argmax(1).tolist()
        [0, 2]
    """

    name = "common words (TF-IDF)"

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(token_pattern=None, tokenizer=_terms, sublinear_tf=True)
        self._vectors = self._vectorizer.fit_transform(texts)

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the cosines of texts and the texts that are searched, float32 [Q, N], from 0 to 1."""
        found: np.ndarray = (self._vectorizer.transform(texts) @ self._vectors.T).toarray().astype(np.float32)
        return found

    def reads(self, text: str) -> bool:
        """Returns whether the text has a word at all."""
        return any(map(str.isalnum, text))


def _terms(text: str) -> list[str]:
    """Splits a text into terms: words and their parts of three letters, and for Chinese one or two characters.

    The parts make "dogs" similar to "dog". Words such as "the" are left out.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    terms: list[str] = []
    word = before = ""
    for character in f"{text} ":
        ideograph = "\u3400" <= character <= "\u9fff"
        if character.isalnum() and not ideograph:
            word += character
        elif word:
            padded = f"<{word}>"
            if word not in ENGLISH_STOP_WORDS:
                terms.extend([word, *(padded[start : start + 3] for start in range(len(padded) - 2))])
            word = ""
        if ideograph:
            terms.extend([character, before + character] if before else [character])
        before = character if ideograph else ""
    return terms

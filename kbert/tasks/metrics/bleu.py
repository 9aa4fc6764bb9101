"""BLEU of generated texts (Papineni et al. 2002), with the tokenizers 13a and zh of sacrebleu and its numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from kbert.tasks.metrics.ngrams import word_ngrams

TOKENIZERS = ("13a", "zh")
_ORDER = 4
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_MARK = re.compile(r"([{-~\[-` -&(-+:-@/])")
_AFTER_NO_DIGIT = re.compile(r"([^0-9])([.,])")
_BEFORE_NO_DIGIT = re.compile(r"([.,])([^0-9])")
_AFTER_DIGIT = re.compile(r"([0-9])(-)")
_CHINESE = re.compile(
    "([\u2001-\u2a6d\u2e80-\u2fdf\u2ff0-\u303f\u3100-\u312f\u31a0-\u31bf\u31c0-\u31ef\u3200-\u4db5\u4e00-\u9fbb"
    "\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef])"
)
"""The characters that zh makes words of their own, including the punctuation marks of other scripts that sacrebleu
counts among them."""


def bleu(
    references: Sequence[Sequence[str]], texts: Sequence[str], *, tokenizer: str = "13a", lowercase: bool = False
) -> float:
    """Returns the BLEU of a corpus, from 0 to 100, with n-grams up to 4 and exponential smoothing.

    Args:
        references: The references of each text, at least one each.
        texts: The generated texts.
        tokenizer: "13a" for languages with spaces, or "zh" for Chinese.
        lowercase: Whether case is ignored.
    """
    common, total = [0] * _ORDER, [0] * _ORDER
    length = reference_length = 0
    for wanted, text in zip(references, texts, strict=True):
        words = bleu_words(text, tokenizer, lowercase)
        others = [bleu_words(reference, tokenizer, lowercase) for reference in wanted]
        length += len(words)
        reference_length += min((abs(len(other) - len(words)), len(other)) for other in others)[1]
        for size in range(1, _ORDER + 1):
            found = word_ngrams(words, size)
            allowed: Counter[tuple[str, ...]] = Counter()
            for other in others:
                allowed |= word_ngrams(other, size)
            common[size - 1] += (found & allowed).total()
            total[size - 1] += found.total()
    return _score(common, total, length, reference_length)


def bleu_words(text: str, tokenizer: str, lowercase: bool = False) -> list[str]:
    """Returns the words of a text that BLEU compares.

    Args:
        text: The text.
        tokenizer: One of TOKENIZERS.
        lowercase: Whether case is ignored.
    """
    text = (text.lower() if lowercase else text).rstrip()
    if tokenizer == "zh":
        text = _CHINESE.sub(r" \1 ", text.strip())
    else:
        text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
        for entity, character in _ENTITIES:
            text = text.replace(entity, character)
        text = f" {text} "
    text = _MARK.sub(r" \1 ", text)
    text = _AFTER_NO_DIGIT.sub(r"\1 \2 ", text)
    text = _BEFORE_NO_DIGIT.sub(r" \1 \2", text)
    return _AFTER_DIGIT.sub(r"\1 \2 ", text).split()


def _score(common: Sequence[int], total: Sequence[int], length: int, reference_length: int) -> float:
    if not any(common) or not all(total):
        return 0.0
    smoothing, logarithms = 1.0, 0.0
    for found, count in zip(common, total, strict=True):
        if not found:
            smoothing *= 2  # each further precision of 0 counts half as much
        precision = found / count if found else 1 / (smoothing * count)
        logarithms += math.log(precision)
    brevity = 1.0 if length >= reference_length else math.exp(1 - reference_length / length)
    return 100 * brevity * math.exp(logarithms / _ORDER)

"""The metrics of generated texts together: BLEU, chrF, ROUGE, how varied the texts are, and their lengths."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kbert.tasks.metrics.bleu import bleu, bleu_words
from kbert.tasks.metrics.chrf import chrf
from kbert.tasks.metrics.rouge import rouge
from kbert.text.replacement_table import is_cjk

_ROUGE = ("rouge1", "rouge2", "rougeL")
_MOSTLY = 0.5


def generation_metrics(
    references: Sequence[Sequence[str]], texts: Sequence[str], *, lowercase: bool = False
) -> dict[str, Any]:
    """Returns the metrics of generated texts.

    Args:
        references: The references of each text, at least one each.
        texts: The generated texts.
        lowercase: Whether BLEU and chrF ignore case, as they must for a model that writes lower case only.

    Returns:
        "bleu" and "chrf" from 0 to 100, as sacrebleu gives them; the mean F1 of "rouge1", "rouge2" and "rougeL", from 0
        to 1, each with the best reference; "distinct1" and "distinct2", the number of different words and of different
        pairs of words, divided by the number of all; "length_ratio", the number of words of the texts, divided by that
        of the nearest references; and "bleu_signature", the settings of BLEU.
    """
    tokenizer = "zh" if is_chinese(reference for each in references for reference in each) else "13a"
    words = [bleu_words(text, tokenizer) for text in texts]
    wanted = [
        min((len(bleu_words(reference, tokenizer)) for reference in each), key=lambda length: abs(length - len(found)))
        for each, found in zip(references, words, strict=True)
    ]
    scores = [rouge(each, text) for each, text in zip(references, texts, strict=True)]
    pairs = [pair for found in words for pair in itertools.pairwise(found)]
    single = [word for found in words for word in found]
    return {
        "bleu": bleu(references, texts, tokenizer=tokenizer, lowercase=lowercase),
        "chrf": chrf(references, texts, lowercase=lowercase),
        **{name: float(np.mean([score[name].f1 for score in scores])) for name in _ROUGE},
        "distinct1": len(set(single)) / max(1, len(single)),
        "distinct2": len(set(pairs)) / max(1, len(pairs)),
        "length_ratio": len(single) / max(1, sum(wanted)),
        "bleu_signature": f"case:{'lc' if lowercase else 'mixed'}|tok:{tokenizer}|smooth:exp",
    }


def is_chinese(texts: Iterable[str]) -> bool:
    """Returns whether most letters of some texts are ideographs."""
    letters = [character for text in texts for character in text if character.isalpha()]
    return sum(is_cjk(ord(letter)) for letter in letters) > _MOSTLY * len(letters)

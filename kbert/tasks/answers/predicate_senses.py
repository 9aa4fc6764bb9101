"""The senses of predicates: those that a word had in the training texts, and the likeliest of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from kbert.layers.heads import MASKED_LOGIT

_BUCKETS = 2**62
"""The number of values of the hashes of words, so large that two words do not share one."""


class SenseTable:
    """The senses of each word.

    Args:
        senses: The senses.
        forms: The indices of the senses that each word had in the training texts, by the word in lower case.
    """

    def __init__(self, senses: Sequence[str], forms: Mapping[str, Sequence[int]]) -> None:
        self._senses = list(senses)
        words = list(forms)
        with tf.init_scope():  # the table may be made while a graph is traced
            hashes = _hashes(tf.constant(words, tf.string)).numpy()
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        listed = [forms[words[index]] for index in order]
        self._lengths = np.array([len(each) for each in listed], np.int64)
        self._values = np.array([sense for each in listed for sense in each], np.int64)

    def likeliest(self, words: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the likeliest sense of each word, string [P], and its probability, float32 [P].

        A word of the training texts has one of the senses that it had there; any other word may have all senses.

        Args:
            words: The words, string [P].
            logits: The logits of the senses, float32 [P, K].
        """
        count = tf.shape(words)[0]
        allowed = tf.ones_like(logits, tf.bool)
        if len(self._hashes):
            hashes = _hashes(words)
            place = tf.minimum(tf.searchsorted(tf.constant(self._hashes), hashes), len(self._hashes) - 1)
            known = tf.gather(tf.constant(self._hashes), place) == hashes
            table = tf.RaggedTensor.from_row_lengths(tf.constant(self._values), tf.constant(self._lengths))
            chosen = tf.gather(table, place)
            indices = tf.stack([chosen.value_rowids(), chosen.flat_values], 1)
            shape = tf.cast([count, len(self._senses)], tf.int64)
            own = tf.scatter_nd(indices, tf.ones_like(chosen.flat_values, tf.int32), shape) > 0
            allowed = own | ~known[:, None]
        logits = tf.where(allowed, logits, MASKED_LOGIT)
        best = tf.argmax(logits, -1, tf.int32)
        probabilities = tf.gather(tf.nn.softmax(logits), best, batch_dims=1)
        return tf.gather(tf.constant(self._senses), best), probabilities


def sense_forms(words: Sequence[str], senses: Sequence[str]) -> dict[str, list[str]]:
    """Returns the senses of each word in lower case, in the order of their names.

    Args:
        words: The predicates of the training texts.
        senses: The sense of each predicate.
    """
    found: dict[str, set[str]] = {}
    for word, sense in zip(_lowered(words), senses, strict=True):
        found.setdefault(word, set()).add(sense)
    return {word: sorted(found[word]) for word in sorted(found)}


def _lowered(words: Sequence[str]) -> list[str]:
    if not words:
        return []
    values = tf.constant([word.encode("utf-8", "replace") for word in words], tf.string)
    return [each.decode("utf-8") for each in tf.strings.lower(values, encoding="utf-8").numpy()]


def _hashes(words: tf.Tensor) -> tf.Tensor:
    return tf.strings.to_hash_bucket_fast(tf.strings.lower(words, encoding="utf-8"), _BUCKETS)

import numpy as np
import pytest
import tensorflow as tf

from kbert.tasks.answers.predicate_senses import SenseTable, sense_forms

SENSES = ["give.01", "leave.01", "leave.02"]


def test_a_known_word_has_one_of_its_senses():
    table = SenseTable(SENSES, {"left": [1, 2], "gave": [0]})
    logits = tf.constant([[9.0, 1, 2], [0, 5, 5], [9, 1, 2]])
    senses, scores = table.likeliest(tf.constant(["LEFT", "gave", "donated"]), logits)
    assert senses.numpy().tolist() == [b"leave.02", b"give.01", b"give.01"]
    assert scores.numpy()[:2].tolist() == pytest.approx([1 / (1 + np.exp(-1)), 1.0])


def test_without_words_all_senses_are_possible():
    senses, _ = SenseTable(SENSES, {}).likeliest(tf.constant(["left"]), tf.constant([[0.0, 1, 0]]))
    assert senses.numpy().tolist() == [b"leave.01"]
    senses, _ = SenseTable(SENSES, {"left": [1]}).likeliest(tf.zeros([0], tf.string), tf.zeros([0, 3]))
    assert senses.shape == (0,)


def test_forms_are_in_lower_case():
    words = ["Left", "left", "ÉTÉ", "left"]
    found = sense_forms(words, ["leave.02", "leave.01", "be.01", "leave.01"])
    assert found == {"left": ["leave.01", "leave.02"], "été": ["be.01"]}
    assert sense_forms([], []) == {}

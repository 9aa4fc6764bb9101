"""A session runs a function of TensorFlow."""

import doctest
import threading

import numpy as np
import pytest
import tensorflow as tf

from kbert.inference import session_function
from kbert.inference.session_function import SessionFunction

INTEGERS = tf.TensorSpec([None], tf.int32)
TEXTS = tf.TensorSpec([None], tf.string)


def test_the_example():
    assert doctest.testmod(session_function) == (0, 2)


def test_structures_go_in_and_come_out():
    def function(first, second):
        return {"b": first["y"] - first["x"], "a": second}, {"length": tf.strings.length(second)}

    called = SessionFunction(function, {"y": INTEGERS, "x": INTEGERS}, TEXTS)
    arrays, lengths = called({"x": np.array([1, 2]), "y": np.array([10, 10])}, np.array([b"cat", b""], object))
    assert (arrays["b"].tolist(), arrays["a"].tolist(), lengths["length"].tolist()) == ([9, 8], [b"cat", b""], [3, 0])
    assert called.output_specs[1] == {"length": tf.TensorSpec([None], tf.int32)}


def test_variables_and_constants_are_copied():
    variable, constant = tf.Variable([1.5, 2.5]), tf.constant([10.0, 20.0])
    called = SessionFunction(lambda values: {"sum": values * variable + constant}, tf.TensorSpec([2], tf.float32))
    variable.assign([0.0, 0.0])
    assert called(np.array([2, 2], np.float32))["sum"].tolist() == [13.0, 25.0]


def test_loops_run():
    def function(count):
        return {"total": tf.while_loop(lambda i, _: i < count[0], lambda i, t: (i + 1, t + i), (0, 0))[1]}

    assert SessionFunction(function, INTEGERS)(np.array([5]))["total"] == 10


def test_a_lookup_table_is_used():
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [3, 4]), -1)
    called = SessionFunction(lambda texts: {"id": table.lookup(texts)}, TEXTS)
    assert called(np.array(["b", "c"]))["id"].tolist() == [4, -1]


def test_a_check_that_no_output_depends_on_is_run():
    def function(values):
        tf.debugging.assert_non_negative(values, "a value is negative")
        return {"values": values}

    called = SessionFunction(function, INTEGERS)
    assert called(np.array([1]))["values"].tolist() == [1]
    with pytest.raises(tf.errors.InvalidArgumentError, match="a value is negative"):
        called(np.array([-1]))


def test_threads_call_it_at_the_same_time():
    called, found = SessionFunction(lambda values: {"double": 2 * values}, INTEGERS), {}

    def call(number):
        found[number] = [int(called(np.array([number]))["double"][0]) for _ in range(20)]

    threads = [threading.Thread(target=call, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [2 * number] * 20 for number in range(4)}

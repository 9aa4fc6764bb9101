import tensorflow as tf

from kbert.export.phone.code_points.paths import follow


def test_paths_are_followed_to_their_ends():
    # 0 → 2 → 3 → 6, 1 → 3, 4 → 5 → 7; the paths end at 6 and 7.
    steps = tf.constant([2, 3, 3, 6, 5, 7, 6, 7])
    reached, ends = follow(tf.constant([1, 0, 0, 0, 0, 0, 0, 0]), steps, 3)
    assert reached.numpy().tolist() == [1, 0, 1, 1, 0, 0, 1, 0]
    assert ends.numpy().tolist() == [6, 6, 6, 6, 7, 7, 6, 7]


def test_paths_that_meet_and_long_ways():
    steps = tf.constant([*range(1, 201), 200])
    reached, ends = follow(tf.constant([1, 1, 1, *[0] * 198]), steps, 200)
    assert reached.numpy().tolist() == [1] * 201
    assert set(ends.numpy().tolist()) == {200}

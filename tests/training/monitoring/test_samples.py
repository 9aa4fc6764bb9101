import numpy as np
import tensorflow as tf

from kbert.training.monitoring.samples import Samples, as_markdown
from kbert.training.run_folder.step_rows import read_rows


def batch():
    return {
        # [CLS] the [MASK] ##s ran [SEP] un [MASK] . [SEP]
        "input_word_ids": np.array([[2, 5, 4, 15, 12, 3, 17, 4, 20, 3, 0, 0]], np.int32),
        "masked_lm_positions": np.array([[2, 7, 0]], np.int32),
        "masked_lm_ids": np.array([[7, 18, 0]], np.int32),
        "masked_lm_weights": np.array([[1, 1, 0]], np.float32),
    }


class Cat:
    """Says cat with probability 0.75 and mat otherwise, everywhere."""

    def __call__(self, batch, training):
        assert not training
        logits = np.full((1, 3, 23), -np.inf, np.float32)
        logits[..., 7], logits[..., 11] = np.log(0.75), np.log(0.25)
        return {"mlm_logits": tf.constant(logits)}


FILLED = [
    "the",
    {"expected": "cat", "predicted": "cat", "probability": 0.75},
    "##s",
    "ran",
    "[SEP]",
    "un",
    {"expected": "##aff", "predicted": "cat", "probability": 0.75},
    ".",
    "[SEP]",
]


def test_masks_are_filled_in(tmp_path, vocabulary):
    assert Samples(Cat(), batch(), vocabulary, tmp_path).fill() == [FILLED]


def test_rows_of_steps_that_are_done_again_are_dropped(tmp_path, vocabulary):
    samples = Samples(Cat(), batch(), vocabulary, tmp_path)
    for step in (0, 10, 20, 10):
        samples(step)
    rows = read_rows(tmp_path / "samples.jsonl")
    assert [row["step"] for row in rows] == [0, 10]
    assert rows[0]["samples"] == [FILLED]


def test_pieces_join_to_words(tmp_path, vocabulary):
    plain = batch()
    plain["masked_lm_weights"] = np.array([[0, 1, 0]], np.float32)
    plain["input_word_ids"][0, 2] = 7
    (filled,) = Samples(Cat(), plain, vocabulary, tmp_path).fill()
    assert filled[:3] == ["the", "cats", "ran"]


def test_filled_masks_are_bold_in_markdown():
    assert as_markdown(FILLED) == r"the **cat** \#\#s ran \[SEP\] un **cat** (\#\#aff) . \[SEP\]"

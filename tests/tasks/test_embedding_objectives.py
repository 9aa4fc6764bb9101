import numpy as np
import pytest
import tensorflow as tf

from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.readers.embedding import EmbeddingExample
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer


@pytest.fixture
def encode(vocabulary):
    return GraphEncoder(Tokenizer(vocabulary).to_graph(), 8)


def test_rows_of_pairs_know_all_that_goes_with_a_text(encode):
    examples = [EmbeddingExample("cat", "a cat"), EmbeddingExample("cat", "the cat"), EmbeddingExample("dog", "a cat")]
    rows = EmbeddingTask("pairs").training_rows(examples, encode)
    assert rows.group_sizes.tolist() == [2, 2, 2]
    assert rows.ids.values.tolist()[:7] == [2, 7, 3, 2, 6, 7, 3]
    assert rows.targets["candidates"].tolist() == [[0], [1], [0]]
    assert rows.targets["positives"].values.tolist() == [0, 1, 0, 1, 0]
    assert rows.targets["positives"].lengths.tolist() == [2, 2, 1]


def test_a_text_is_no_wrong_answer_to_itself(encode):
    examples = [EmbeddingExample("cat", "dog"), EmbeddingExample("dog", "cat")]
    rows = EmbeddingTask("pairs").training_rows(examples, encode)
    assert rows.targets["candidates"].tolist() == [[0], [1]]
    assert [sorted(rows.targets["positives"].values.tolist()[start : start + 2]) for start in (0, 2)] == [[0, 1]] * 2
    metrics = EmbeddingTask().evaluate(examples, {"vector": unit(0, 5)})
    assert metrics["mrr"] == metrics["recall@1"] == 1.0


def test_items_may_have_several_negatives(encode):
    examples = [
        EmbeddingExample("cat", "a cat", ("dog", "mat")),
        EmbeddingExample("cat", "the cat", ("dog", "mat")),
        EmbeddingExample("mat", "a mat", "dog"),
    ]
    rows = EmbeddingTask("pairs").training_rows(examples, encode)
    assert rows.group_sizes.tolist() == [4, 4, 3]
    candidates = rows.targets["candidates"]
    assert (candidates.values.tolist(), candidates.lengths.tolist()) == ([0, 1, 2, 3, 1, 2, 4, 1], [3, 3, 2])
    assert candidates.padding == -1
    triplets = EmbeddingTask("triplets").training_rows(examples, encode)
    assert triplets.group_sizes.tolist() == [3] * 5


def test_a_negative_that_an_item_lacks_does_not_count():
    vectors = np.stack([unit(0, 10, 60), unit(90, 70, 0)])
    vectors[1, 2] = 0
    batch = {
        "input_word_ids": tf.zeros([2, 3, 1], tf.int32),
        "candidates": tf.constant([[0, 1], [2, -1]]),
        "positives": tf.constant([[0], [2]]),
    }
    task = EmbeddingTask("pairs", temperature=0.5)
    sums = task.loss_sums({"vector": tf.constant(vectors)}, batch)
    cosine = np.cos(np.radians([[0 - 10, 0 - 60, 0 - 70], [80, 30, 20]])) / 0.5
    expected = sum(np.log(np.exp(row).sum()) - row[right] for row, right in zip(cosine, (0, 2), strict=True))
    assert float(sums["contrastive_loss"]) == pytest.approx(expected, rel=1e-5)


def test_unsupervised_items_are_texts_twice(encode):
    rows = EmbeddingTask("unsupervised").training_rows(
        [EmbeddingExample("cat", "dog"), EmbeddingExample("cat")], encode
    )
    assert rows.ids.values.tolist() == [2, 7, 3, 2, 7, 3, 2, 8, 3, 2, 8, 3]
    assert rows.targets["candidates"].tolist() == [[0], [1]]


def test_scores_are_scaled(encode):
    task = EmbeddingTask("scores", score_range=(1.0, 5.0))
    rows = task.training_rows(
        [EmbeddingExample("a", "the", score=2.0), EmbeddingExample("a", "the", score=5.0)], encode
    )
    assert rows.targets["scores"].tolist() == [0.25, 1.0]


def unit(*degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], -1).astype(np.float32)


def test_contrastive_loss_by_hand():
    # Two texts, each with its pair and a negative; the first text's negative is what goes with the second text too.
    vectors = np.stack([unit(0, 10, 60), unit(90, 70, 0)])
    batch = {
        "input_word_ids": tf.zeros([2, 3, 1], tf.int32),
        "candidates": tf.constant([[0, 1], [2, 3]]),
        "positives": tf.constant([[0, -1], [2, 1]]),
    }
    task = EmbeddingTask("pairs", temperature=0.5)
    sums = task.loss_sums({"vector": tf.constant(vectors)}, batch)
    cosine = np.cos(np.radians([[0 - 10, 0 - 60, 0 - 70, 0 - 0], [80, 30, 20, 90]])) / 0.5
    cosine[1, 1] = -np.inf
    expected = sum(np.log(np.exp(row).sum()) - row[right] for row, right in zip(cosine, (0, 2), strict=True))
    assert float(sums["contrastive_loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(sums["accuracy"]) == 1  # the first text's nearest is the second's negative
    assert {name: float(value) for name, value in task.loss_weights(batch).items()} == {
        "contrastive_loss": 2,
        "accuracy": 2,
    }


def test_other_losses_by_hand():
    triplets = EmbeddingTask("triplets", margin=0.2).loss_sums(
        {"vector": tf.constant(np.stack([unit(0, 60, 90), unit(0, 90, 60)]))}, {}
    )
    assert float(triplets["triplet_loss"]) == pytest.approx(0.7, abs=1e-5)  # 0 - 0.5 + 0.2 < 0; 0.5 - 0 + 0.2
    assert float(triplets["accuracy"]) == 1
    scores = EmbeddingTask("scores").loss_sums(
        {"vector": tf.constant(np.stack([unit(0, 60), unit(0, 0)]))}, {"scores": tf.constant([1.0, 0.25])}
    )
    assert float(scores["squared_error"]) == pytest.approx(0.25 + 0.5625, abs=1e-5)


def test_training_rows_have_prompts(encode):
    examples = [EmbeddingExample("cat", "dog", "mat")]
    rows = EmbeddingTask("triplets", prompt="the ", pair_prompt="a ").training_rows(examples, encode)
    assert rows.ids.values.tolist() == [2, 5, 7, 3, 2, 6, 8, 3, 2, 6, 11, 3]
    rows = EmbeddingTask("unsupervised", prompt="the ", pair_prompt="a ").training_rows(
        [EmbeddingExample("cat")], encode
    )
    assert rows.ids.values.tolist() == [2, 5, 7, 3] * 2

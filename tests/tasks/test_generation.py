import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from kbert.errors import DataError, UsageError
from kbert.export.phone.export import export_litert
from kbert.export.saved_model import export_saved_model
from kbert.export.warmup import WARMUP_FILE
from kbert.models.encoder import BertEncoder
from kbert.prediction.loading import load
from kbert.sources.bad_rows import BadRows
from kbert.tasks.decoding.settings import Decoding
from kbert.tasks.factories import task_class
from kbert.tasks.generation import GenerationTask
from kbert.tasks.readers.generation import GenerationExample
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.training.distillation.teacher import Teacher

EXAMPLES = [GenerationExample("the cat", ("a dog",), 2), GenerationExample("a dog sat", ("the mat .", "cats"), 3)]


@pytest.fixture(scope="module")
def encode(vocabulary):
    return GraphEncoder(Tokenizer(vocabulary).to_graph(), 12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_task_model, small_config):
    """A model with one block: tracing takes most of the time."""
    task, config = GenerationTask(Decoding(max_target=6), lowercase=True), small_config.replace(num_hidden_layers=1)
    return make_task_model(tmp_path_factory.mktemp("writer"), task, config=config)


# === Training ===


def test_rows_hold_a_source_and_a_target(encode):
    rows = GenerationTask(Decoding(max_target=4)).training_rows(EXAMPLES, encode)
    # [CLS] the cat [SEP] a dog; [CLS] a dog sat [SEP] the mat .; [CLS] a dog sat [SEP] cat ##s
    assert np.split(rows.ids.values, np.cumsum(rows.ids.lengths)[:-1])[0].tolist() == [2, 5, 7, 3, 6, 8]
    assert rows.ids.lengths.tolist() == [6, 8, 7]
    assert rows.type_ids.values.tolist() == [0, 0, 0, 0, 1, 1, *[0] * 5, 1, 1, 1, *[0] * 5, 1, 1]
    assert rows.targets["masked_lm_positions"].values.tolist() == [3, 4, 5, 4, 5, 6, 7, 4, 5, 6]
    assert rows.targets["masked_lm_ids"].values.tolist() == [6, 8, 3, 5, 11, 20, 3, 7, 15, 3]
    assert rows.targets["masked_lm_ids"].lengths.tolist() == [3, 4, 3]
    assert rows.targets["masked_lm_weights"].values.tolist() == [1.0] * 10
    assert rows.notes == ()


def test_long_texts_are_cut_and_counted(encode):
    rows = GenerationTask(Decoding(max_target=6)).training_rows(
        [GenerationExample("the cat sat on the mat", ("a dog ran fast on a slow mat",))], encode
    )
    # The source has 12 - 6 tokens. The target is cut, so that no [SEP] is learnt behind it.
    assert rows.ids.values.tolist() == [2, 5, 7, 9, 10, 3, 6, 8, 12, 13, 10]
    assert rows.targets["masked_lm_ids"].values.tolist() == [6, 8, 12, 13, 10, 6]
    assert rows.notes == (
        "1 of 1 sources are cut, so that the longest answer (6 tokens) fits into the 12 tokens of a row; "
        "--sequence-length and --max-target change this",
        "1 of 1 targets have more than 6 tokens, and are learnt up to there; --max-target changes this",
    )


def test_targets_that_cannot_fit_are_errors_or_skipped(encode):
    long = GenerationExample("a", ("cat", "the cat " * 4), 7)
    with pytest.raises(DataError, match=r"^a\.csv:7: expected a target of at most 7 tokens, since source and target "):
        GenerationTask().keep_fitting([*EXAMPLES, long], encode, "a.csv", BadRows())
    bad = BadRows(1)
    assert GenerationTask().keep_fitting([*EXAMPLES, long], encode, "a.csv", bad) == EXAMPLES
    assert bad.count == 1
    with pytest.raises(DataError, match=r"All targets are longer than 7 tokens$"):
        GenerationTask().keep_fitting([long], encode, "a.csv", BadRows(1))


def test_the_longest_answer_follows_from_the_training_targets(encode):
    task = GenerationTask().for_training_examples(EXAMPLES, encode)
    assert (task.decoding.max_target, task.lowercase) == (6, True)  # at most half of a row
    assert GenerationTask(Decoding(max_target=3)).for_training_examples(EXAMPLES, encode).decoding.max_target == 3
    with pytest.raises(UsageError, match=r"it can be at most 7\. Received: max_target=8;"):
        GenerationTask(Decoding(max_target=8)).for_training_examples(EXAMPLES, encode)


@pytest.mark.parametrize("skip_padding", [False, True])
def test_the_loss_counts_the_tokens_of_targets(encode, small_config, skip_padding):
    task = GenerationTask(Decoding(max_target=4), label_smoothing=0.0)
    rows = task.training_rows(EXAMPLES[:1], encode)
    batch = {
        "input_word_ids": rows.ids.values[None],
        "input_mask": np.ones((1, 6), np.int32),
        "input_type_ids": rows.type_ids.values[None],
        **{name: values.values[None] for name, values in rows.targets.items()},
    }
    # A second row of padding must not matter.
    batch = {name: tf.constant(np.concatenate([values, values * 0])) for name, values in batch.items()}
    model = task.build(BertEncoder(small_config, pooled=False, skip_padding=skip_padding))
    logits = model({**batch, "masked_lm_weights": tf.ones_like(batch["masked_lm_weights"])})["mlm_logits"]
    logits = tf.reshape(logits, [2, 3, -1])[0]
    expected = tf.nn.sparse_softmax_cross_entropy_with_logits([6, 8, 3], logits)
    sums = task.loss_sums(model(batch), batch)
    assert float(sums["cross_entropy"]) == pytest.approx(float(tf.reduce_sum(expected)), abs=1e-4)
    assert {name: float(value) for name, value in task.loss_weights(batch).items()} == {
        "cross_entropy": 3,
        "token_accuracy": 3,
    }


# === Answers ===


def test_predictions_have_a_text_and_a_score(folder):
    model = load(folder)
    first, second, _ = model.predict(["the cat sat", "", "a dog ran on the mat " * 9])
    assert list(first) == ["text", "generated", "score"]
    assert isinstance(first["generated"], str)
    assert first["score"] < 0
    assert second["text"] == ""
    assert model.predict("the cat sat") == [pytest.approx(first)]
    assert model.task.text_line({"text": "a", "generated": "b\nc", "score": 0.0}) == "b c"


@pytest.mark.long
def test_several_answers_are_lists_best_first(folder):
    plain = load(folder).predict(["the cat sat"])[0]
    model = load(folder, beams=3, answers=2)
    found = model.predict(["the cat sat"])[0]
    assert len(set(found["generated"])) == 2
    assert found["score"][0] >= max(found["score"][1], plain["score"] - 1e-5)
    assert model.task.text_line(found) == "\t".join(found["generated"])
    assert load(folder).evaluate([GenerationExample("the cat", (plain["generated"],))])["examples"] == 1


def test_options_of_the_decoding_are_for_generation_alone(classifier, folder):
    with pytest.raises(UsageError, match=r"^beams is for models that generate texts; leave it out\. Received: a "):
        load(classifier, beams=2)
    with pytest.raises(UsageError, match=r"^engine='litert' is for tasks that read a text once\. Received: a model"):
        load(folder, engine="litert")
    with pytest.raises(UsageError, match=r"^models for generation cannot be exported for phones, since they "):
        export_litert(folder, output="a.tflite")
    with pytest.raises(UsageError, match=r"^expected a teacher whose outputs a student can learn\. Received: "):
        Teacher.load(folder)


@pytest.mark.slow
def test_drawn_answers_depend_on_the_seed(folder):
    texts = ["the cat sat", "a dog", "the cat sat"]
    drawn = {seed: load(folder, temperature=2.0, seed=seed).predict(texts) for seed in (1, 2)}
    assert drawn[1][0] == pytest.approx(drawn[1][2])
    assert [row["generated"] for row in drawn[1]] != [row["generated"] for row in drawn[2]]


def test_settings_come_back_from_the_folder(folder):
    task = GenerationTask(Decoding(max_target=5, beams=4, answers=2, length_penalty=1.0, no_repeat=3), lowercase=True)
    again = task_class("generation").from_settings(task.settings())
    assert again.settings() == task.settings()
    assert load(folder).task.decoding == Decoding(max_target=6)
    with pytest.raises(TypeError, match="decoding must be an object of settings of the decoding"):
        GenerationTask.from_settings(task.settings() | {"decoding": {"beam": 2}})
    with pytest.raises(UsageError, match="beams must be a whole number of at least 1"):
        GenerationTask.from_settings(task.settings() | {"decoding": {"beams": "2"}})


def test_metrics_and_the_worst_examples(folder):
    model = load(folder)
    answers = {"generated": np.array([b"a dog", b"the cat"], object)}
    metrics = model.task.evaluate(EXAMPLES, answers)
    assert metrics["examples"] == 2
    assert {"bleu", "chrf", "rouge1", "rouge2", "rougeL", "distinct1", "distinct2", "length_ratio"} <= metrics.keys()
    (worst,) = metrics["worst_examples"]
    assert (worst["line"], worst["expected"], worst["predicted"]) == (3, "the mat .", "the cat")
    several = {"generated": np.array([[b"a dog", b"x"], [b"the cat", b"y"]], object)}
    assert model.task.evaluate(EXAMPLES, several) == metrics


@pytest.mark.slow
def test_an_export_answers_as_the_model_and_draws_by_seeds(tmp_path, folder):
    """`export_saved_model` itself compares all signatures in both loaders."""
    exported = export_saved_model(folder, output=tmp_path / "served", beams=2, answers=2)
    signatures = tf.saved_model.load(str(exported)).signatures
    assert set(signatures) == {"serving_default", "tokens", "sample"}
    records = tf.data.TFRecordDataset(str(exported / "assets.extra" / WARMUP_FILE))
    warmed = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]
    names = {record.predict_log.request.model_spec.signature_name for record in warmed}
    assert names == {"serving_default", "tokens", "sample"}
    texts = ["the cat sat", "a dog", "the cat sat"]
    served = signatures["serving_default"](text=tf.constant(texts))
    expected = load(folder, beams=2, answers=2).predict(texts)
    found = [[text.decode() for text in row] for row in served["generated"].numpy()]
    assert found == [row["generated"] for row in expected]
    np.testing.assert_allclose(served["score"], [row["score"] for row in expected], atol=1e-5)
    sampled = signatures["sample"](
        text=tf.constant(texts), seed=tf.constant([1, 1, 2], tf.int64), temperature=tf.constant([1.0, 1.0, 3.0])
    )
    assert sampled["generated"].shape == (3, 2)
    assert sampled["generated"][0, 0] != sampled["generated"][2, 0]

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from kbert.export.saved_model import export_saved_model
from kbert.export.session import session_answers
from kbert.export.warmup import warmup_inputs
from kbert.prediction.loading import load
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.multiple_choice import MultipleChoiceTask
from kbert.tasks.protocol.answering import TextInput
from kbert.tasks.question_answering import QuestionAnsweringTask
from kbert.tasks.ranking import RankingTask
from kbert.tasks.regression import RegressionTask
from kbert.tasks.summarization import SummarizationTask
from kbert.tasks.tagging import TaggingTask

TASKS = [
    None,
    EmbeddingTask(),
    MultipleChoiceTask(),
    QuestionAnsweringTask(impossible=True),
    RankingTask(),
    RegressionTask(True, 2.5, 1.5),
    SummarizationTask(2),
    TaggingTask(["O", "B-a", "I-a"]),
]
"""Tasks of all forms of inputs; None is fill-mask, whose texts have no [MASK] here."""


def requests_of(folder):
    """The requests in the file of a version: (model, signature, inputs as arrays)."""
    records = tf.data.TFRecordDataset(str(folder / "assets.extra" / "tf_serving_warmup_requests"))
    for record in records.as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = getattr(log, log.WhichOneof("log_type")).request
        if log.HasField("predict_log"):
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        else:
            rows = request.input.example_list.examples
            inputs = {"inputs": np.array([row.SerializeToString() for row in rows], object)}
        yield request.model_spec.name, request.model_spec.signature_name, inputs


@pytest.fixture(scope="module")
def exported(tmp_path_factory, pair_classifier):
    return export_saved_model(pair_classifier, output=tmp_path_factory.mktemp("served") / "pairs")


@pytest.mark.long
def test_all_signatures_get_a_short_text_the_longest_and_a_batch_of_several_lengths(exported):
    found = list(requests_of(exported))
    names = [(name, signature) for name, signature, _ in found]
    assert names == [("pairs", "serving_default"), ("pairs", "tokens"), ("pairs", "classify")] * 3
    words = [[len(text.split()) for text in inputs["text"]] for _, signature, inputs in found if "text" in inputs]
    assert words == [[1], [24], [1, 1, 2, 3, 6, 9, 15, 24]]
    # The model reads 24 tokens: a pair of one word each has 5, and each longer pair at most 24.
    shapes = [inputs["input_word_ids"].shape for _, signature, inputs in found if signature == "tokens"]
    assert shapes == [(1, 5), (1, 24), (8, 24)]
    assert [inputs["inputs"].shape for _, signature, inputs in found if signature == "classify"] == [(1,), (1,), (8,)]
    lengths = found[-2][2]["input_mask"].sum(-1).tolist()
    assert lengths[0] == 5
    assert lengths[-1] == 24
    assert (exported / "assets.extra" / "tf_serving_warmup_requests").stat().st_size < 10_000


@pytest.mark.long
def test_tokens_are_those_of_the_texts(exported, pair_classifier):
    found = list(requests_of(exported))
    encode = load(pair_classifier).text_model.encode
    for (_, _, texts), (_, _, tokens) in zip(found[::3], found[1::3], strict=True):
        expected = encode(tf.constant(texts["text"]), tf.constant(texts["text_pair"]))
        assert tokens.keys() == expected.keys()
        for name, values in expected.items():
            assert tokens[name].dtype == np.int32
            np.testing.assert_array_equal(tokens[name], values)


@pytest.mark.long
def test_every_request_is_answered(exported):
    for _, signature, inputs in requests_of(exported):
        rows = len(next(iter(inputs.values())))
        answers = session_answers(exported, {signature: inputs})[signature]
        assert answers["scores" if signature == "classify" else "probabilities"].shape == (rows, 3)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS, ids=lambda task: "fill-mask" if task is None else task.name)
def test_every_task_answers_its_requests(tmp_path, make_task_model, pretrained, small_config, task):
    config = small_config.replace(num_hidden_layers=1)
    model = pretrained if task is None else make_task_model(tmp_path / "model", task, config=config)
    folder = export_saved_model(model, output=tmp_path / "served")
    signatures = set()
    for _, signature, inputs in requests_of(folder):
        rows = len(next(iter(inputs.values())))
        answers = session_answers(folder, {signature: inputs})[signature]
        assert signature == "tokens" or all(len(values) == rows for values in answers.values())
        signatures.add(signature)
    assert signatures == set(tf.saved_model.load(str(folder)).signatures)


def test_inputs_that_are_lists(vocabulary):
    inputs = warmup_inputs((TextInput("query", "query"), TextInput("candidates", "candidates", True)), vocabulary, 9)
    assert [each["query"].shape for each in inputs] == [(1,), (1,), (8,)]
    assert [each["candidates"].shape for each in inputs] == [(1, 3), (1, 3), (8, 3)]
    assert inputs[2]["candidates"].tolist() == [[text] * 3 for text in inputs[2]["query"].tolist()]

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from every_task import TASKS

from kbert.errors import UsageError
from kbert.export.phone.code_point_model import code_points
from kbert.export.phone.export import export_litert
from kbert.prediction.loading import load
from kbert.tasks.embedding import EmbeddingTask
from kbert.tasks.ranking import RankingTask
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.mediapipe_tokenizer import mediapipe_tokenizer
from kbert.text.tokenizer import Tokenizer


def ask(path, *texts):
    runner = Interpreter(str(path)).get_signature_runner()
    names = ("code_points", "code_points_pair")[: len(texts)]
    length = runner.get_input_details()["code_points"]["shape"][1]
    return runner(**{name: code_points([text], length) for name, text in zip(names, texts, strict=True)})


def test_code_points_of_texts():
    assert code_points(["aß", "👍"], 3).tolist() == [[97, 223, 0], [0x1F44D, 0, 0]]
    assert code_points(["abcd"], 2).tolist() == [[97, 98]]
    assert code_points(["ab", ""]).tolist() == [[97, 98], [0, 0]]


@pytest.mark.long
def test_a_classifier_takes_text(tmp_path, classifier):
    path = export_litert(classifier, output=tmp_path / "m.tflite", sequence_lengths=[12], input="codepoints")
    texts = ["The CAT sat on the mat.", "", "Únaffable dogs!", "the " * 50]
    model = load(classifier)
    features = GraphEncoder(model.text_model.encode.tokenizer, 12)(tf.constant(texts))
    expected = model.text_model.from_tokens(**features)["probabilities"]
    for text, probabilities in zip(texts, expected, strict=True):
        answers = ask(path, text)
        assert answers.keys() == {"probabilities"}
        np.testing.assert_allclose(answers["probabilities"][0], probabilities, atol=1e-5)


@pytest.mark.long
def test_a_pair_of_texts(tmp_path, pair_classifier):
    path = export_litert(pair_classifier, output=tmp_path / "m.tflite", input="codepoints", text_length=30)
    (expected,) = load(pair_classifier).predict(["the cat"], ["A Dog ran!"])
    received = ask(path, "the cat", "A Dog ran!")["probabilities"][0]
    np.testing.assert_allclose(received, list(expected["probabilities"].values()), atol=1e-5)


@pytest.mark.long
def test_a_tagger_says_where_tokens_come_from(tmp_path, make_task_model):
    folder = make_task_model(tmp_path / "run", TASKS["tagging"]())
    path = export_litert(folder, output=tmp_path / "m.tflite", sequence_lengths=[8], input="codepoints")
    answers = ask(path, "A  cat, unaffable")
    assert answers["probabilities"].shape == (1, 8, 3)
    spans = list(zip(answers["starts"][0].tolist(), answers["ends"][0].tolist(), strict=True))
    assert spans[:7] == [(0, 0), (0, 1), (3, 6), (6, 7), (8, 10), (10, 13), (13, 17)]


@pytest.mark.long
def test_the_prompt_is_part_of_the_file(tmp_path, make_task_model):
    prompted = make_task_model(tmp_path / "prompted", EmbeddingTask(prompt="the dog : "))
    path = export_litert(prompted, output=tmp_path / "m.tflite", sequence_lengths=[16], input="codepoints")
    (expected,) = load(prompted).predict(["a cat"])
    np.testing.assert_allclose(ask(path, "a cat")["vector"][0], expected["vector"], atol=1e-5)


@pytest.mark.long
def test_a_dialogue_keeps_its_end(tmp_path, make_task_model):
    folder = make_task_model(tmp_path / "run", RankingTask(dialogue=True), sequence_length=12)
    path = export_litert(folder, output=tmp_path / "m.tflite", input="codepoints", text_length=120)
    query, candidates = "dog " * 20 + "the cat sat", ["a mat .", "dogs"]
    (expected,) = load(folder).predict([query], [candidates])
    received = [float(ask(path, query, candidate)["score"][0]) for candidate in candidates]
    np.testing.assert_allclose(received, expected["scores"], atol=1e-5)


@pytest.mark.long
def test_masked_words_are_found_in_the_text(tmp_path, pretrained):
    path = export_litert(pretrained, output=tmp_path / "m.tflite", sequence_lengths=[12], input="codepoints")
    answers = ask(path, "the [MASK] sat on [MASK]")
    assert answers["masked_lm_positions"].tolist() == [[2, 5, 0, 0, 0]]
    model = load(pretrained)
    (expected,) = model.predict(["the [MASK] sat on [MASK]"])
    for place, mask in enumerate(expected["masks"]):
        assert model.tokenizer.vocabulary[int(answers["mlm_logits"][0, place].argmax())] == next(iter(mask))


def test_a_length_of_texts_needs_code_points(tmp_path, classifier):
    with pytest.raises(UsageError, match=r"^text_length needs input='codepoints'\. Received: input='tokens'$"):
        export_litert(classifier, output=tmp_path / "m.tflite", text_length=20)


@pytest.mark.long
def test_the_tokenizer_of_mediapipe_is_refused(tmp_path, make_task_model, vocabulary):
    tokenizer = mediapipe_tokenizer(Tokenizer(vocabulary))
    folder = make_task_model(tmp_path / "run", TASKS["classification"](), tokenizer=tokenizer)
    with pytest.raises(UsageError, match=r"^expected a model with the tokenizer of BERT, .* with --input tokens$"):
        export_litert(folder, output=tmp_path / "m.tflite", input="codepoints")

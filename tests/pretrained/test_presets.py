import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

import kbert
from kbert.errors import UsageError
from kbert.model_folder.bundle import Bundle
from kbert.model_folder.sentence_files import read_modules
from kbert.models.encoder import BertEncoder
from kbert.text.tokenizer import Tokenizer

BATCH = {
    "input_word_ids": np.array([[2, 6, 7, 3], [2, 8, 3, 0]], np.int32),
    "input_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]], np.int32),
    "input_type_ids": np.zeros((2, 4), np.int32),
}


def equal(a, b):
    for one, other in zip(keras.tree.flatten(a(BATCH)), keras.tree.flatten(b(BATCH)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.WARNING, "kbert")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "kbert"]


def test_a_preset_has_fresh_weights():
    encoder = kbert.BertEncoder.from_preset("tiny", vocab_size=30, seed=4, dtype="mixed_bfloat16")
    assert (encoder.config.hidden_size, encoder.config.vocab_size, encoder.precision) == (128, 30, "bfloat16")
    assert encoder.pooler is not None
    np.testing.assert_array_equal(
        encoder.embeddings.token_table, BertEncoder(encoder.config, seed=4).embeddings.token_table
    )


def test_an_encoder_of_a_folder_and_back(pretrained, tmp_path, logged):
    encoder = kbert.BertEncoder.from_preset(pretrained, name="bert")
    assert encoder.name == "bert"
    equal(encoder, kbert.load_model(pretrained).encoder)
    assert encoder.save_to_preset(tmp_path / "saved") == tmp_path / "saved"
    again = kbert.load_model(tmp_path / "saved")
    assert type(again) is BertEncoder
    equal(encoder, again)
    assert (tmp_path / "saved/vocab.txt").read_bytes() == (pretrained / "vocab.txt").read_bytes()
    assert logged() == []


def test_a_preset_with_a_tokenizer_becomes_a_folder(tmp_path, vocabulary):
    encoder = kbert.BertEncoder.from_preset("tiny", vocab_size=len(vocabulary))
    with pytest.raises(
        UsageError, match=r"^expected a tokenizer, since a model folder holds a vocabulary; give tokenizer\. Received: "
    ):
        encoder.save_to_preset(tmp_path / "saved")
    encoder.save_to_preset(tmp_path / "saved", tokenizer=Tokenizer(vocabulary, lowercase=False))
    bundle = Bundle.load(tmp_path / "saved")
    assert (bundle.architecture, bundle.tokenizer.lowercase) == ("BertModel", False)
    equal(encoder, kbert.load_model(tmp_path / "saved"))


def test_a_tokenizer_of_another_model_is_refused(tmp_path, vocabulary):
    encoder = kbert.BertEncoder.from_preset("tiny", vocab_size=22)
    with pytest.raises(UsageError, match=r"^the tokenizer must have at most the model's 22 tokens\. Received: 23$"):
        encoder.save_to_preset(tmp_path, tokenizer=Tokenizer(vocabulary))


@pytest.mark.long
def test_a_head_comes_with_its_weights_and_its_task(classifier, tmp_path, logged):
    model = kbert.ClassificationModel.from_preset(classifier)
    equal(model, kbert.load_model(classifier))
    model.save_to_preset(tmp_path / "saved")
    asked = "the cat sat"
    assert kbert.load(tmp_path / "saved").predict([asked]) == kbert.load(classifier).predict([asked])
    assert "metrics" not in Bundle.load(tmp_path / "saved").settings
    assert logged() == []


def test_a_fresh_head_says_so(pretrained, tmp_path, logged):
    with pytest.raises(
        UsageError, match=r"has no head of ClassificationModel; give classes, the number of classes of a fresh head$"
    ):
        kbert.ClassificationModel.from_preset(pretrained)
    model = kbert.ClassificationModel.from_preset(pretrained, classes=2)
    equal(model.encoder, kbert.load_model(pretrained).encoder)
    assert logged() == [f"{pretrained} has no weights of classifier: the ClassificationModel has fresh ones there"]
    model.save_to_preset(tmp_path / "saved", labels=["no", "yes"])
    assert Bundle.load(tmp_path / "saved").labels == ["no", "yes"]
    equal(model, kbert.load_model(tmp_path / "saved"))
    predicted = kbert.load(tmp_path / "saved", paired=False).predict(["a cat"])[0]
    assert set(predicted["probabilities"]) == {"no", "yes"}


def test_other_classes_than_the_folder_has_are_refused(classifier):
    with pytest.raises(UsageError, match=r"has classes=3; leave classes out, .*Received: classes=4$"):
        kbert.ClassificationModel.from_preset(classifier, classes=4)


@pytest.mark.parametrize(
    ("kind", "options", "fresh"),
    [
        ("TokenClassificationModel", {"classes": 3, "crf": True}, "classifier, crf"),
        ("QuestionAnsweringModel", {}, "qa_outputs"),
        ("MultipleChoiceModel", {}, "classifier"),
        ("RegressionModel", {"mean": 2.0, "deviation": 3.0}, "classifier"),
        ("RankingModel", {}, "classifier"),
        ("MaskedLanguageModel", {}, None),
        ("PretrainingModel", {}, None),
        ("EmbeddingModel", {"pooling": "cls"}, None),
    ],
)
def test_every_head_of_a_pretrained_folder_and_back(pretrained, tmp_path, logged, kind, options, fresh):
    model = getattr(kbert, kind).from_preset(pretrained, **options)
    said = f"{pretrained} has no weights of {fresh}: the {kind} has fresh ones there"
    assert logged() == ([] if fresh is None else [said])
    model.save_to_preset(tmp_path / "saved")
    again = getattr(kbert, kind).from_preset(tmp_path / "saved")
    assert len(logged()) == (fresh is not None)
    if kind == "RegressionModel":  # a folder has the weights that give numbers as they are
        np.testing.assert_allclose(again.head.dense.kernel, 3.0 * model.head.dense.kernel, rtol=1e-6)
        np.testing.assert_allclose(again.head.dense.bias, [2.0])
    else:
        for a, b in zip(model.trainable_variables, again.trainable_variables, strict=True):
            np.testing.assert_array_equal(a, b)
    if kind == "EmbeddingModel":
        assert again.pooling == "cls"
        np.testing.assert_allclose(
            np.asarray(model(BATCH)["vector"])[0],
            np.asarray(kbert.load(tmp_path / "saved").model(BATCH)["vector"])[0],
            atol=1e-6,
        )


def test_an_embedding_says_how_it_is_pooled(pretrained):
    with pytest.raises(UsageError, match=r'give pooling, such as pooling="mean"$'):
        kbert.EmbeddingModel.from_preset(pretrained)


def test_a_folder_of_sentence_transformers_says_it_itself(make_sentence_folder, tmp_path):
    folder = make_sentence_folder(tmp_path / "st", modules=["Pooling"], pooling={"pooling_mode_cls_token": True})
    model = kbert.EmbeddingModel.from_preset(folder)
    assert (model.pooling, model.normalize) == ("cls", False)
    preprocessor = kbert.Preprocessor.from_preset(folder, sequence_length=16)
    vectors = model(preprocessor(tf.constant(["the cat sat"])))["vector"]
    np.testing.assert_allclose(vectors, kbert.load(folder).answers(["the cat sat"])["vector"], atol=1e-5)


def test_numbers_keep_their_mean(make_task_model, tmp_path):
    from kbert.tasks.regression import RegressionTask

    folder = make_task_model(tmp_path / "folder", RegressionTask(mean=5.0, deviation=2.0))
    model = kbert.RegressionModel.from_preset(folder)
    assert (model.mean, model.deviation) == (5.0, 2.0)
    # Loaded models skip padding, so sums have another order.
    np.testing.assert_allclose(model(BATCH)["logits"], kbert.load(folder).model(BATCH)["logits"], atol=1e-5)


def test_what_is_neither_preset_nor_folder(tmp_path):
    with pytest.raises(UsageError, match=r"^expected a preset \(tiny, .*\) or a model folder\. Received: tinny$"):
        kbert.BertEncoder.from_preset("tinny")


def test_an_unknown_option(pretrained):
    with pytest.raises(UsageError, match=r"^RankingModel\.from_preset takes dtype, .*Received: 'classes'$"):
        kbert.RankingModel.from_preset(pretrained, classes=3)


@pytest.mark.long
def test_vectors_keep_what_the_files_of_sentence_transformers_say(make_sentence_folder, tmp_path):
    library = {"prompts": {"query": "the "}, "default_prompt_name": "query", "similarity_fn_name": "dot"}
    folder = make_sentence_folder(
        tmp_path / "st",
        modules=["Pooling"],
        pooling={"pooling_mode_max_tokens": True},
        transformer={"max_seq_length": 7},
        library=library,
    )
    kbert.EmbeddingModel.from_preset(folder).save_to_preset(tmp_path / "again")
    before, after = read_modules(folder), read_modules(tmp_path / "again")
    assert (after.pooling, after.normalize, after.max_length, after.similarity) == ("max", False, 7, "dot")
    assert after.prompts["query"] == "the "
    assert after.default_prompt == before.default_prompt == "query"
    texts = ["cat sat on the mat . a slow dog", "a dog"]
    expected = kbert.load(folder).answers(texts)["vector"]
    np.testing.assert_allclose(kbert.load(tmp_path / "again").answers(texts)["vector"], expected, atol=1e-6)


def test_vectors_of_an_encoder_get_the_files_of_sentence_transformers(pretrained, tmp_path):
    kbert.EmbeddingModel.from_preset(pretrained, pooling="cls", normalize=False).save_to_preset(tmp_path / "m")
    modules = read_modules(tmp_path / "m")
    assert (modules.pooling, modules.normalize, modules.max_length) == ("cls", False, None)


def test_a_cross_encoder_keeps_its_activation(make_cross_encoder, tmp_path):
    folder = make_cross_encoder(tmp_path / "ce")
    (folder / "modules.json").write_text('[{"type": "sentence_transformers.models.Transformer", "path": ""}]')
    (folder / "config_sentence_transformers.json").write_text(
        '{"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity"}'
    )
    kbert.RankingModel.from_preset(folder).save_to_preset(tmp_path / "again")
    assert not (tmp_path / "again" / "modules.json").exists()
    assert kbert.load(folder).task.activation == kbert.load(tmp_path / "again").task.activation == "identity"

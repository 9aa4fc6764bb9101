import itertools
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from every_task import TASKS
from safetensors.numpy import load_file, save_file

from kbert.errors import ExportError, ParityError, UsageError
from kbert.export import parity
from kbert.export.parity import sample_inputs
from kbert.export.phone import export as litert
from kbert.export.phone.accuracy import Accuracy
from kbert.export.phone.export import export_litert
from kbert.export.phone.file_text_model import FileTextModel
from kbert.inference.packed_encoder import PackedEncoder
from kbert.layers.crf import TABLES
from kbert.prediction.loading import load
from kbert.tasks.tagging import TaggingTask
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer

TEXTS = ["the cat sat on the mat .", "", "zzz 中文", "unaffable dogs !", "the " * 50]


def interpreter(path):
    return Interpreter(str(path))


def rows(model, texts, length, pairs=None):
    """The features of texts, padded to a length, int32 [B, length]."""
    encode = GraphEncoder(model.text_model.encode.tokenizer, length)
    batch = encode(*(tf.constant(values) for values in (texts, pairs) if values is not None))
    return {
        name: np.pad(value.numpy(), ((0, 0), (0, length - value.shape[1])))[:, :length] for name, value in batch.items()
    }


def run(path, batch, signature=None):
    """The outputs of a file for each row of a batch."""
    runner = interpreter(path).get_signature_runner(signature)
    count = len(next(iter(batch.values())))
    answers = [runner(**{name: values[i : i + 1] for name, values in batch.items()}) for i in range(count)]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def answers(path, model, length, pairs=None, signature=None):
    return run(path, rows(model, TEXTS, length, pairs), signature)["probabilities"]


@pytest.fixture(scope="module")
def exports(tmp_path_factory, classifier):
    folder = tmp_path_factory.mktemp("litert")
    return {
        quantize: export_litert(classifier, output=folder / f"{quantize}.tflite", quantize=quantize)
        for quantize in ("none", "float16", "dynamic")
    }


@pytest.mark.parametrize(("quantize", "tolerance"), [("none", 1e-4), ("float16", 1e-2), ("dynamic", 0.25)])
@pytest.mark.long
def test_it_answers_as_the_bundle_does(exports, classifier, quantize, tolerance):
    model = load(classifier)
    expected = model.answers(TEXTS)["probabilities"]
    received = answers(exports[quantize], model, 24)
    np.testing.assert_allclose(received, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(received.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("quantize", ["none", "float16", "dynamic"])
def test_all_operations_are_built_in(exports, quantize):
    names = {
        operation["op_name"]
        for operation in interpreter(exports[quantize])._get_ops_details()
        if operation["op_name"] != "DELEGATE"
    }
    assert {"FULLY_CONNECTED", "SOFTMAX", "TANH", "GELU"} <= names
    assert not [name for name in names if name.startswith(("Flex", "CUSTOM")) or name != name.upper()]


def test_inputs_and_outputs(exports):
    signatures = interpreter(exports["none"]).get_signature_list()
    assert signatures == {
        "serving_default": {
            "inputs": ["input_mask", "input_type_ids", "input_word_ids"],
            "outputs": ["probabilities"],
        }
    }
    runner = interpreter(exports["none"]).get_signature_runner()
    for detail in runner.get_input_details().values():
        assert (detail["shape"].tolist(), detail["dtype"]) == ([1, 24], np.int32)
    (detail,) = runner.get_output_details().values()
    assert (detail["shape"].tolist(), detail["dtype"]) == ([1, 3], np.float32)


@pytest.mark.long
def test_quantized_models_are_smaller(tmp_path, make_classifier, small_config):
    """Of a width at which weights are most of the file."""
    config = small_config.replace(hidden_size=128, intermediate_size=512)
    folder = make_classifier(tmp_path / "wide", config=config)
    sizes = {
        quantize: export_litert(folder, output=tmp_path / quantize, quantize=quantize).stat().st_size
        for quantize in ("none", "float16", "dynamic")
    }
    assert sizes["float16"] < 0.6 * sizes["none"]
    assert sizes["dynamic"] < 0.4 * sizes["none"]


@pytest.mark.long
@pytest.mark.parametrize("hidden_act", ["gelu_new", "relu"])
def test_activations_and_lengths(tmp_path, make_classifier, small_config, hidden_act):
    folder = make_classifier(tmp_path / "model", config=small_config.replace(hidden_act=hidden_act))
    path = export_litert(folder, output=tmp_path / "model.tflite", sequence_lengths=[9])
    model = load(folder)
    encode = type(model.text_model.encode)(model.text_model.encode.tokenizer, 9)
    expected = model.text_model.from_tokens(**encode(tf.constant(TEXTS)))["probabilities"]
    np.testing.assert_allclose(answers(path, model, 9), expected, rtol=0, atol=1e-4)


@pytest.mark.long
def test_pairs(tmp_path, pair_classifier):
    path = export_litert(pair_classifier, output=tmp_path / "pairs.tflite")
    model = load(pair_classifier)
    expected = model.answers(TEXTS, TEXTS[::-1])["probabilities"]
    np.testing.assert_allclose(answers(path, model, 24, TEXTS[::-1]), expected, rtol=0, atol=1e-4)


def test_an_export_that_answers_otherwise_is_not_written(tmp_path, classifier, monkeypatch):
    monkeypatch.setitem(parity._LITERT_TOLERANCES, "none", -1.0)
    with pytest.raises(
        ParityError, match=r"^the LiteRT model \(none\): probabilities must differ .* nothing was written$"
    ):
        export_litert(classifier, output=tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"quantize": "int2"},
            r"^quantize must be one of none, float16, dynamic, int8, int4\. Received: quantize='int2'$",
        ),
        (
            {"sequence_lengths": [33]},
            r"^the sequence length must be at most the model's 32 positions\. Received: .* 33$",
        ),
        ({"sequence_lengths": [4]}, r"^sequence_lengths must be at least 5\. Received: .*4"),
        ({"sequence_lengths": [9.5]}, r"^sequence_lengths must be a list of whole numbers\. Received: .*9\.5"),
        ({"quantize": "int8"}, r"^quantize='int8' needs texts, in calibration or validation\. Received: neither$"),
        ({"skip_bad": 1}, r"^skip_bad needs validation\. Received: no validation$"),
        ({"calibration": "x"}, r"^calibration needs quantize='int8'\. Received: quantize='none', which measures no"),
        ({"max_drop": 1.0}, r"^max_drop needs validation\. Received: no validation$"),
        ({"max_drop": -1.0, "validation": "x"}, r"^max_drop must be at least 0\. Received: max_drop=-1\.0$"),
    ],
)
def test_options_that_cannot_be(tmp_path, classifier, options, message):
    with pytest.raises(UsageError, match=message):
        export_litert(classifier, output=tmp_path / "model.tflite", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_file_has_a_signature_for_each_length_and_stores_the_weights_once(tmp_path, make_classifier, small_config):
    config = small_config.replace(hidden_size=128, intermediate_size=512)
    folder = make_classifier(tmp_path / "wide", config=config)
    path = export_litert(folder, output=tmp_path / "both.tflite", sequence_lengths=[24, 9, 9])
    alone = export_litert(folder, output=tmp_path / "alone.tflite", sequence_lengths=[24])
    assert sorted(interpreter(path).get_signature_list()) == ["tokens_24", "tokens_9"]
    assert path.stat().st_size < 1.1 * alone.stat().st_size
    model = load(folder)
    for length in (9, 24):
        encode = GraphEncoder(model.text_model.encode.tokenizer, length)
        expected = model.text_model.from_tokens(**encode(tf.constant(TEXTS)))["probabilities"]
        received = answers(path, model, length, signature=f"tokens_{length}")
        np.testing.assert_allclose(received, expected, rtol=0, atol=1e-4)


@pytest.mark.long
def test_a_model_for_multiple_choice_gives_the_logit_of_one_choice(tmp_path, make_task_model):
    folder = make_task_model(tmp_path / "run", TASKS["multiple choice"]())
    path = export_litert(folder, output=tmp_path / "model.tflite", sequence_lengths=[16])
    model = load(folder)
    choices = ["the mat .", "dogs", "zzz"]
    logits = run(path, rows(model, ["the cat sat on"] * 3, 16, choices))["logits"]
    (answer,) = model.predict(["the cat sat on"], [choices])
    expected = answer["probabilities"]
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(), expected, atol=1e-5)
    assert logits.shape == (3,)


@pytest.mark.long
def test_a_model_for_masked_words_reads_the_positions_of_masks(tmp_path, pretrained):
    path = export_litert(pretrained, output=tmp_path / "model.tflite", sequence_lengths=[12])
    model = load(pretrained)
    batch = rows(model, ["the [MASK] sat on the [MASK] ."], 12)
    batch["masked_lm_positions"] = np.int32([[2, 6, 0, 0, 0]])
    logits = run(path, batch)["mlm_logits"]
    assert logits.shape == (1, 5, 23)
    (answer,) = model.predict(["the [MASK] sat on the [MASK] ."])
    for place, mask in enumerate(answer["masks"]):
        best = int(logits[0, place].argmax())
        assert model.tokenizer.vocabulary[best] == next(iter(mask))


@pytest.mark.long
@pytest.mark.parametrize("name", ["tagging with a CRF", "ranking", "regression", "question answering"])
def test_the_accuracy_of_the_file_is_that_of_the_model(tmp_path, make_task_model, name):
    """Answers of the file go through the same decoding as those of the model."""
    model = load(make_task_model(tmp_path / "run", TASKS[name]()))
    length = model.sequence_length
    content = litert._token_content(model, length, "none", {})
    engine = FileTextModel(model.text_model, content, length, 1)
    inputs = sample_inputs(model.task.text_inputs, model.tokenizer.vocabulary, longest=8)
    wanted = model.text_model.from_text(*inputs.values())
    received = engine.from_text(*inputs.values())
    assert received.keys() == wanted.keys()
    for key, value in wanted.items():
        if value.dtype.is_floating:
            np.testing.assert_allclose(received[key], value, atol=1e-4)
        else:
            np.testing.assert_array_equal(received[key], value)


@pytest.mark.long
def test_a_tagger_with_a_crf_returns_its_tables(tmp_path, make_task_model):
    """The best of all paths through the logarithms of the probabilities and the tables has the tags of the model."""
    folder = make_task_model(tmp_path / "run", TaggingTask(["DET", "NOUN", "VERB"], crf=True, per_word=True))
    tensors = load_file(folder / "model.safetensors")
    rng = np.random.default_rng(0)
    for name in TABLES:
        tensors[f"crf.{name}"] = rng.normal(0, 3, tensors[f"crf.{name}"].shape).astype(np.float32)
    save_file(tensors, folder / "model.safetensors")
    model = load(folder)
    text = "the cat sat on the mat"
    path = export_litert(folder, output=tmp_path / "model.tflite", sequence_lengths=[9])
    outputs = run(path, rows(model, [text], 9))
    assert outputs.keys() == {"probabilities", *TABLES}
    start, end, transitions = (outputs[name][0] for name in TABLES)
    emissions = np.log(outputs["probabilities"][0, 1:7])  # each word is one token

    def score(tags):
        moves = sum(transitions[before, after] for before, after in itertools.pairwise(tags))
        return start[tags[0]] + emissions[range(6), tags].sum() + moves + end[tags[-1]]

    best = max(itertools.product(range(3), repeat=6), key=score)
    words = model.predict([text])[0]["words"]
    assert [model.task.labels[tag] for tag in best] == [word["tag"] for word in words]
    assert list(best) != emissions.argmax(-1).tolist()


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, classifier):
    """A file with the labels that the model gives, so that its accuracy is 1."""
    path = tmp_path_factory.mktemp("labelled") / "dev.tsv"
    given = load(classifier).predict(TEXTS[:1] + TEXTS[2:])
    path.write_text("text\tlabel\n" + "".join(f"{each['text']}\t{each['label']}\n" for each in given), encoding="utf-8")
    return path


@pytest.mark.long
def test_the_accuracy_before_and_after_is_told(tmp_path, classifier, labelled, logged):
    output = tmp_path / "model.tflite"
    export_litert(classifier, output=output, validation=labelled, max_drop=0)
    assert "the LiteRT model (none): accuracy 1.0000 before and 1.0000 after, on 4 examples" in logged()


@pytest.mark.long
def test_an_export_that_is_too_inaccurate_is_not_written(tmp_path, classifier, labelled, monkeypatch):
    monkeypatch.setattr(Accuracy, "drop", 2.5)
    with pytest.raises(ParityError, match=r"^the LiteRT model \(none\): the metric must be worse by at most 2 points"):
        export_litert(classifier, output=tmp_path / "model.tflite", validation=labelled, max_drop=2)
    assert list(tmp_path.iterdir()) == []


def test_an_operation_that_is_not_built_in_is_refused(classifier, monkeypatch):
    """A graph that the converter cannot express ends in one line."""
    loaded = load(classifier)
    monkeypatch.setattr(
        PackedEncoder,
        "_normalize",
        lambda self, values, norm: tf.linalg.sqrtm(values @ tf.transpose(values)) @ values,
    )
    with pytest.raises(ExportError, match=r"^expected a model of LiteRT's built-in operations\. Received: "):
        litert._token_content(loaded, 8, "none", {})


def test_a_classifier_has_metadata_for_mediapipe(tmp_path, classifier, logged):
    path = export_litert(classifier, output=tmp_path / "films.tflite")
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt") == b"bad\nfine\ngood"
        assert archive.read("vocab.txt").split(b"\n")[:2] == [b"[PAD]", b"[UNK]"]
    assert any(line.startswith("MediaPipe's TextClassifier opens the model as it is; ") for line in logged())


@pytest.mark.long
@pytest.mark.parametrize("options", [{"metadata": "none"}, {"input": "codepoints"}, {"sequence_lengths": [8, 16]}])
def test_files_that_no_program_opens_have_no_metadata(tmp_path, classifier, options):
    assert not zipfile.is_zipfile(export_litert(classifier, output=tmp_path / "films.tflite", **options))


@pytest.mark.long
def test_a_cased_classifier_needs_a_decision(tmp_path, make_task_model, vocabulary):
    cased = Tokenizer(vocabulary, lowercase=False)
    folder = make_task_model(tmp_path / "run", TASKS["classification"](), tokenizer=cased)
    with pytest.raises(UsageError, match=r"^expected an uncased model, since MediaPipe .* with --metadata none for an"):
        export_litert(folder, output=tmp_path / "m.tflite")
    assert not zipfile.is_zipfile(export_litert(folder, output=tmp_path / "m.tflite", metadata="none"))
    assert zipfile.is_zipfile(export_litert(folder, output=tmp_path / "m.tflite", force=True))


@pytest.mark.long
def test_the_accuracy_with_the_tokenizer_of_mediapipe_is_told(tmp_path, classifier, labelled, logged):
    export_litert(classifier, output=tmp_path / "model.tflite", validation=labelled)
    (line,) = [line for line in logged() if line.startswith("with MediaPipe's tokenizer: ")]
    assert line.startswith("with MediaPipe's tokenizer: accuracy 1.0000 before and ")

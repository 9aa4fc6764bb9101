import json

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import kbert
from kbert.cli.main import main
from kbert.errors import DataError, UsageError
from kbert.export.saved_model import export_saved_model
from kbert.inference.litert_encoder import litert_encoder
from kbert.prediction.litert_text_model import LiteRtTextModel
from kbert.prediction.loading import load
from kbert.tasks.readers.relations import RelationExample
from kbert.tasks.relations import RelationsTask
from kbert.training.finetune import finetune

LABELS = ["Other", "eats(e1,e2)", "eats(e2,e1)"]
EXAMPLES = [
    RelationExample("the cat sat", (4, 7), (8, 11), "eats(e1,e2)", 1),
    RelationExample("the dog ran", (4, 7), (8, 11), "Other", 2),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_task_model, small_config):
    config = small_config.replace(num_hidden_layers=1)
    return make_task_model(tmp_path_factory.mktemp("relations"), RelationsTask(LABELS, "Other"), config=config)


@pytest.fixture(scope="module")
def model(folder):
    return load(folder)


def test_labels_are_discovered():
    task = RelationsTask.from_examples(EXAMPLES, "a.jsonl", {"class_weights": "balanced"})
    assert (task.labels, task.no_relation, task.class_weights) == (
        ["Other", "eats(e1,e2)"],
        "Other",
        {"Other": 1.0, "eats(e1,e2)": 1.0},
    )
    assert RelationsTask.from_settings(json.loads(json.dumps(task.settings()))).settings() == task.settings()
    with pytest.raises(
        UsageError, match=r"^no_relation must be one of the relations .* \(Other, eats\(e1,e2\)\)\. Rec"
    ):
        RelationsTask.from_examples(EXAMPLES, "a.jsonl", {"no_relation": "nothing"})
    with pytest.raises(
        DataError, match=r"^dev:3: expected one of the relations seen in training \(Other, eats\(e1,e2\)"
    ):
        task.keep_valid([RelationExample("a cat", (0, 1), (2, 5), "sees", 3)], "dev")
    with pytest.raises(DataError, match=r"^a\.jsonl: expected at least two labels\. Received 'Other' alone"):
        RelationsTask.from_examples(EXAMPLES[1:], "a.jsonl")


def test_the_answers_are_those_of_the_head(model):
    """The logits are computed here from the vectors of the encoder."""
    (answer,) = model.predict("The <e1>cat</e1> sat on the <e2>mat</e2>.")
    assert list(answer) == ["text", "head", "tail", "relation", "probabilities"]
    assert (answer["text"], answer["head"], answer["tail"]) == ("The cat sat on the mat.", [4, 7], [19, 22])
    # [CLS] the cat sat on the mat . [SEP]
    ids = model.tokenizer.encode("The cat sat on the mat.").ids
    batch = {
        "input_word_ids": np.array([ids], np.int32),
        "input_mask": np.ones((1, len(ids)), np.int32),
        "input_type_ids": np.array([[int(place in (2, 6)) for place in range(len(ids))]], np.int32),
    }
    hidden = model.encoder(batch)["sequence_output"].numpy()[0]
    dense, head = model.model.dense, model.model.head.dense
    vector = np.tanh(np.concatenate([hidden[0], hidden[2], hidden[6]]) @ dense.kernel.numpy() + dense.bias.numpy())
    expected = tf.nn.softmax(vector @ head.kernel.numpy() + head.bias.numpy()).numpy()
    assert list(answer["probabilities"]) == LABELS
    assert list(answer["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-5)
    assert answer["relation"] == LABELS[expected.argmax()]


def test_ways_to_give_the_entities(model, tmp_path):
    (expected,) = model.predict(["The <e1>cat</e1> sat on the <e2>mat</e2>."])
    text = "The cat sat on the mat."
    assert model.predict([text], [[4, 7]], [[19, 22]]) == [expected]
    assert model.predict([{"text": text, "head": [4, 7], "tail": [19, 22]}]) == [expected]
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(expected) + "\n")  # an answer can be asked again
    assert list(model.predict_file(path)) == [expected]
    with pytest.raises(
        UsageError, match=r"^expected <e1>…</e1> around the head and <e2>…</e2> around the tail, each onc"
    ):
        model.predict("a cat")
    with pytest.raises(
        UsageError, match=r"^expected \[start, end\] as the tail of a text, within its 23 characters\. "
    ):
        model.predict([text], [[4, 7]], [[19, 99]])


@pytest.mark.long
def test_the_command(folder, model):
    text = "The <e1>cat</e1> sat on the <e2>mat</e2>."
    done = CliRunner().invoke(main, ["predict", str(folder), text])
    assert done.exit_code == 0, done.output
    (answer,) = model.predict(text)
    probability = answer["probabilities"][answer["relation"]]
    assert done.stdout == f"{answer['relation']}\t{probability:.4f}\tcat\tmat\tThe cat sat on the mat.\n"
    refused = CliRunner().invoke(main, ["predict", str(folder), "a cat"])
    assert refused.exit_code == 2
    assert "expected <e1>…</e1> around the head" in refused.stderr
    refused = CliRunner().invoke(main, ["export", "litert", str(folder), "--output", "a.tflite"])
    assert refused.exit_code == 2
    assert refused.stderr.startswith(
        "Error: models for relations cannot be exported for phones, since apps would have "
    )


def test_the_folder_says_what_it_is(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["BertForRelations"]
    assert config["id2label"] == {"0": "Other", "1": "eats(e1,e2)", "2": "eats(e2,e1)"}
    built = kbert.load_model(folder)
    batch = {name: np.ones((2, 5), np.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")}
    assert built({**batch, "entity_positions": np.array([[1, 2], [0, 3]], np.int32)})["logits"].shape == (2, 3)


@pytest.mark.long
def test_metrics(model):
    task = RelationsTask(LABELS, "Other")
    probabilities = np.array([[0.1, 0.8, 0.1], [0.2, 0.2, 0.6]], np.float32)
    found = task.evaluate(EXAMPLES, {"probabilities": probabilities})
    assert (found["f1"], found["micro_f1"], found["accuracy"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 0.5)
    assert found["worst_examples"][0]["head"] == [4, 7]
    words, trivial = task.trivial_metrics([*EXAMPLES, EXAMPLES[1]], EXAMPLES)
    assert (words, trivial["f1"]) == ("always answers 'eats(e1,e2)'", pytest.approx(2 / 3))
    assert model.evaluate(EXAMPLES)["examples"] == 2


@pytest.mark.long
def test_other_engines_answer_alike(model, folder, tmp_path):
    texts = ["the cat sat on the mat . " * 5, "a dog", "Ünaffable 中文 dog"]
    spans = [[[4, 7], [0, 1], [0, 9]], [[8, 11], [2, 5], [13, 16]]]
    expected = model.answers(texts, *spans)
    inputs = [tf.constant(texts), *(tf.constant(span, tf.int32) for span in spans)]
    litert = LiteRtTextModel(model.text_model, litert_encoder(model.encoder)).from_text(*inputs)
    exported = export_saved_model(folder, output=tmp_path / "served")
    signatures = tf.saved_model.load(str(exported)).signatures
    served = signatures["serving_default"](text=inputs[0], head=inputs[1], tail=inputs[2])
    for found in (litert, served):
        assert np.asarray(found["relation"]).tolist() == expected["relation"].tolist()
        np.testing.assert_allclose(np.asarray(found["probabilities"]), expected["probabilities"], rtol=0, atol=2e-5)
    assert set(signatures) == {"serving_default", "tokens", "classify"}


@pytest.mark.slow
def test_it_is_learnt(tmp_path, pretrained):
    path = tmp_path / "train.txt"
    sentences = ["The <e1>{}</e1> sat on a <e2>{}</e2>.", "A <e2>{}</e2> ran and the <e1>{}</e1>."]
    rows = [
        f'{place}\t"{sentence.format(first, second)}"\n{("eats(e1,e2)", "eats(e2,e1)")[place % 2]}\nComment:\n\n'
        for place, sentence in enumerate(sentences * 8)
        for first, second in [(("cat", "dog")[place // 2 % 2], "mat")]
    ]
    path.write_text("".join(rows))
    metrics = finetune(
        "relations", model=pretrained, train=path, validation=path, output=tmp_path / "run", epochs=30,
        learning_rate=3e-3, batch_size=8, show_progress=False,
    )  # fmt: skip
    assert metrics["f1"] == 1.0
    assert load(tmp_path / "run").evaluate(path)["f1"] == 1.0

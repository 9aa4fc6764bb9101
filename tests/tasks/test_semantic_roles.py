import json

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import kbert
from kbert.cli.main import main
from kbert.errors import DataError
from kbert.export.saved_model import export_saved_model
from kbert.prediction.loading import load
from kbert.tasks.readers.predicates import Predicate, RolesText
from kbert.tasks.readers.tagging import Span
from kbert.tasks.semantic_roles import SemanticRolesTask
from kbert.text.graph.encoder import GraphEncoder
from kbert.text.tokenizer import Tokenizer
from kbert.training.finetune import finetune

LONG = "a cat sat . " * 6 + "the unaffable dog ran on the mat , fast . " + "a dog sat . " * 6
RAN = LONG.index("ran")
TEXTS = [
    RolesText(
        "The unaffable cat sat, the dogs ran.",
        (
            Predicate(18, 21, "sit.01", (Span(0, 17, "ARG0"),)),
            Predicate(32, 35, "run.02", (Span(0, 17, "ARGM"), Span(23, 31, "ARG0"))),
        ),
        1,
    ),
    RolesText("the mat", (), 2),
    RolesText(
        LONG,
        (Predicate(RAN, RAN + 3, "run.01", (Span(RAN - 18, RAN - 1, "ARG0"), Span(RAN + 4, RAN + 14, "ARGM"))),),
        3,
    ),
]


def encoder(vocabulary, length):
    return GraphEncoder(Tokenizer(vocabulary).to_graph(), length)


@pytest.fixture(scope="module")
def task():
    return SemanticRolesTask.from_examples(TEXTS, "a.jsonl")


def oracle(task, encode, texts, *, finds=True):
    """The answers of a model that is always right, or that finds no predicate by itself."""
    inputs = {
        each.name: each.tensor(values)
        for each, values in zip(task.evaluation_inputs, task.evaluation_texts(texts).values(), strict=True)
    }
    rows = task.training_rows(texts, encode)
    firsts = {}
    for ids, types, *labels, sense in zip(
        np.split(rows.ids.values, np.cumsum(rows.ids.lengths)[:-1]),
        np.split(rows.type_ids.values, np.cumsum(rows.ids.lengths)[:-1]),
        np.split(rows.targets["predicate_labels"].values, np.cumsum(rows.ids.lengths)[:-1]),
        np.split(rows.targets["role_labels"].values, np.cumsum(rows.ids.lengths)[:-1]),
        rows.targets["senses"],
        strict=True,
    ):
        firsts[(*ids.tolist(), *types.tolist())] = (*labels, sense)

    def outputs(encoded):
        found = {"predicate_logits": [], "role_logits": [], "sense_logits": []}
        mask = encoded["input_mask"].numpy() == 1
        for row, used in enumerate(mask):
            ids, types = (encoded[name].numpy()[row][used].tolist() for name in ("input_word_ids", "input_type_ids"))
            none = np.full(len(ids), -1)
            predicate, role, sense = firsts.get((*ids, *types), (none, none, -1))
            for name, labels, size in (
                ("predicate_logits", predicate if finds else none, 3),
                ("role_logits", role, len(task.labels)),
            ):
                wide = np.zeros(mask.shape[1], int)
                wide[used] = np.maximum(labels, 0)
                found[name].append(np.eye(size)[wide] * 5)
            found["sense_logits"].append(np.eye(len(task.senses))[max(sense, 0)] * 5)
        return {name: tf.constant(np.stack(values), tf.float32) for name, values in found.items()}

    encoded = task.encode(encode, inputs)
    second = task.second_pass(encode, outputs(encoded), encoded)
    return {name: value.numpy() for name, value in task.served_answers(outputs(second), second).items()}


def test_roles_and_senses_are_discovered(task, logged):
    assert (task.roles, task.senses) == (["ARG0", "ARGM"], ["run.01", "run.02", "sit.01"])
    assert task.forms == {"ran": [0, 1], "sat": [2]}
    assert task.labels == ["O", "B-ARG0", "I-ARG0", "B-ARGM", "I-ARGM"]
    assert SemanticRolesTask.from_settings(json.loads(json.dumps(task.settings()))).settings() == task.settings()
    with pytest.raises(DataError, match=r"^a\.jsonl: expected texts with predicates and roles\. There are none in any"):
        SemanticRolesTask.from_examples(TEXTS[1:2], "a.jsonl")
    with pytest.raises(ValueError, match=r"^forms must have indices of the 1 senses\. Received: others$"):
        SemanticRolesTask(["ARG0"], ["sit.01"], {"sat": [1]})
    odd = RolesText("the unaffable cat", (Predicate(6, 13, None, (Span(0, 3, "ARG5"),)),), 4)
    assert task.keep_valid([odd], "dev") == [odd]
    assert logged() == [
        "dev: 1 of 2 spans cannot be learnt (first: dev:4): 1 begin or end within a word",
        "dev: these roles are not in the training file, so none is ever found: ARG5",
    ]


def test_rows_of_both_passes(task, vocabulary):
    rows = task.training_rows(TEXTS[:2], encoder(vocabulary, 32))
    # [CLS] the un ##aff ##able cat sat , the dog ##s ran . [SEP], then [CLS] the mat [SEP], then a row a predicate
    assert rows.ids.lengths.tolist() == [14, 4, 14, 14]
    types = np.split(rows.type_ids.values, [14, 18, 32])
    assert [np.flatnonzero(each).tolist() for each in types] == [[], [], [6], [11]]
    predicates = np.split(rows.targets["predicate_labels"].values, [14, 18, 32])
    assert predicates[0].tolist() == [-1, 0, 0, -1, -1, 0, 1, 0, 0, 0, -1, 1, 0, -1]
    assert set(predicates[2]) == {-1}
    roles = np.split(rows.targets["role_labels"].values, [14, 18, 32])
    assert set(roles[0]) == {-1}
    assert roles[2].tolist() == [-1, 1, 2, -1, -1, 2, 0, 0, 0, 0, -1, 0, 0, -1]
    assert roles[3].tolist() == [-1, 3, 4, -1, -1, 4, 0, 0, 1, 2, -1, 0, 0, -1]
    assert rows.targets["senses"].tolist() == [-1, -1, 2, 1]


@pytest.mark.long
@pytest.mark.parametrize("length", [24, 512])
def test_roles_come_back_from_their_labels_through_windows(task, vocabulary, length):
    answers = oracle(task, encoder(vocabulary, length), TEXTS)
    metrics = task.evaluate(TEXTS, answers)
    for name in (
        "f1",
        "f1_srl_eval",
        "f1_given",
        "perfect_given",
        "predicate_f1",
        "sense_accuracy",
        "sense_accuracy_given",
    ):
        assert metrics[name] == 1.0, name
    for row, text in enumerate(TEXTS):
        found = task.readable_answer({name: values[row] for name, values in answers.items()})["predicates"]
        assert [(each["start"], each["end"], each["sense"]) for each in found] == [
            (each.start, each.end, each.sense) for each in text.predicates
        ]


def test_given_predicates_are_used_where_none_is_found(task, vocabulary):
    metrics = task.evaluate(TEXTS, oracle(task, encoder(vocabulary, 64), TEXTS, finds=False))
    assert (metrics["f1"], metrics["predicate_f1"], metrics["f1_given"], metrics["sense_accuracy_given"]) == (
        0,
        0,
        1,
        1,
    )
    words, trivial = task.trivial_metrics(TEXTS, TEXTS)
    assert (words, trivial["f1"]) == ("finds no predicate", 0.0)


def test_tags_that_cannot_follow_each_other_are_not_chosen(task):
    from kbert.tasks.rows.role_passes import best_tags

    # The tags are O, B-ARG0, I-ARG0, B-ARGM, I-ARGM. The likeliest at each place would be I-ARG0 I-ARGM, and I-ARGM.
    logits = tf.constant([[0.0, 1, 3, 0, 0], [0, 0, 1, 0, 3], [0, 0, 0, 0, 3]])
    tags = best_tags(logits, tf.constant([0, 0, 2]), tf.constant(3), task.labels)
    assert [task.labels[tag] for tag in tags.numpy()] == ["B-ARGM", "I-ARGM", "O"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_task_model, small_config, task):
    config = small_config.replace(num_hidden_layers=1)
    return make_task_model(tmp_path_factory.mktemp("roles"), task, config=config)


@pytest.mark.long
def test_served_and_predicted_answers_are_the_same(folder, tmp_path):
    model = load(folder)
    texts = [text.text for text in TEXTS]
    expected = model.answers(["", *texts])
    assert expected["count"].sum() > 0
    predicted = model.predict(texts)
    assert list(predicted[0]) == ["text", "predicates"]
    assert list(predicted[0]["predicates"][0]) == ["start", "end", "sense", "roles"]
    exported = export_saved_model(folder, output=tmp_path / "served")
    served = tf.saved_model.load(str(exported)).signatures["serving_default"](text=tf.constant(["", *texts]))
    assert served.keys() == expected.keys()
    for name, values in served.items():
        if values.dtype == tf.string:
            assert values.numpy().tolist() == expected[name].tolist(), name
        else:
            np.testing.assert_allclose(values.numpy(), expected[name], rtol=0, atol=2e-5, err_msg=name)
    path = tmp_path / "a.jsonl"  # an answer is an example
    path.write_text("".join(f"{json.dumps(each)}\n" for each in predicted))
    assert model.evaluate(path)["f1"] == 1.0


def test_the_folder_says_what_it_is(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["BertForSemanticRoles"]
    assert config["id2label"]["4"] == "I-ARGM"
    batch = {name: np.ones((2, 5), np.int32) for name in ("input_word_ids", "input_mask", "input_type_ids")}
    outputs = kbert.load_model(folder)(batch)
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    assert shapes == {"predicate_logits": (2, 5, 3), "role_logits": (2, 5, 5), "sense_logits": (2, 3)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["predict", "{}", "a cat", "--engine", "litert"],
            "--engine litert is for tasks that read a text once. Received",
        ),
        (
            ["export", "saved-model", "{}", "--output", "x", "--litert-encoder", "none"],
            "--litert-encoder is for tasks t",
        ),
        (
            ["export", "litert", "{}", "--output", "x.tflite"],
            "models for semantic-roles cannot be exported for phones, ",
        ),
    ],
)
def test_what_needs_a_single_pass(folder, arguments, message):
    refused = CliRunner().invoke(main, [each.format(folder) for each in arguments])
    assert refused.exit_code == 2, refused.output
    assert refused.stderr.startswith(f"Error: {message}")


def test_a_line_for_people(task):
    prediction = {
        "text": "The cat sat.",
        "predicates": [{"start": 8, "end": 11, "sense": "sit.01", "roles": [{"start": 0, "end": 7, "role": "ARG0"}]}],
    }
    assert task.text_line(prediction) == "sit.01 (ARG0 'The cat')\tThe cat sat."
    assert task.text_line({"text": "the mat", "predicates": []}) == "-\tthe mat"


@pytest.mark.slow
def test_it_is_learnt(tmp_path, pretrained):
    path = tmp_path / "train.jsonl"
    rows = [
        {
            "text": f"the {first} {verb} on the {second} .",
            "predicates": [
                {
                    "start": 5 + len(first),
                    "end": 8 + len(first),
                    "sense": {"sat": "sit.01", "ran": "run.01"}[verb],
                    "roles": [
                        {"start": 0, "end": 4 + len(first), "role": "ARG0"},
                        {"start": 9 + len(first), "end": 16 + len(first) + len(second), "role": "ARGM"},
                    ],
                }
            ],
        }
        for first in ("cat", "dog", "mat")
        for verb in ("sat", "ran")
        for second in ("cat", "dog", "mat")
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    metrics = finetune(
        "semantic-roles", model=pretrained, train=path, validation=path, output=tmp_path / "run", epochs=30,
        learning_rate=3e-3, batch_size=8, show_progress=False,
    )  # fmt: skip
    assert (metrics["f1"], metrics["predicate_f1"], metrics["sense_accuracy_given"]) == (1.0, 1.0, 1.0)
    assert load(tmp_path / "run").evaluate(path)["f1"] == 1.0

import json
import shutil

import numpy as np
import pytest

from kbert.errors import DataError, UsageError
from kbert.model_folder.bundle import Bundle
from kbert.prediction.loading import load
from kbert.tasks.semantic_roles import SemanticRolesTask
from kbert.text.vocabulary import Vocabulary
from kbert.training.distill import distill
from kbert.training.finetune import finetune
from kbert.training.options import DistillOptions
from kbert.training.run_folder.checkpoints import read_arrays

WORDS = ("sat", "ran", "fast", "slow", "on", "mat")
OPTIONS = {"batch_size": 8, "learning_rate": 1e-3, "epochs": 1, "show_progress": False}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, pretrained):
    """A fine-tuned model, with its tables: texts with a cat are "yes", those with a dog "no"."""
    folder = tmp_path_factory.mktemp("teacher")
    texts = [
        f"the {first} {animal} {second} .,{label}\n"
        for first in WORDS
        for second in WORDS
        for animal, label in (("cat", "yes"), ("dog", "no"))
    ]
    (folder / "train.csv").write_text("review,answer\n" + "".join(texts))
    (folder / "dev.csv").write_text("review,answer\n" + "".join(texts[10:30]))
    columns = {"text_column": "review", "label_column": "answer"}
    options = OPTIONS | {"epochs": 8, "learning_rate": 1e-2, "sequence_length": 16}
    tables = {"train": folder / "train.csv", "validation": folder / "dev.csv"}
    metrics = finetune("classification", model=pretrained, output=folder / "run", **tables, **columns, **options)
    assert metrics["accuracy"] == 1.0
    return folder


def run(teacher, output, model="tiny", **options):
    tables = {"train": teacher / "train.csv", "validation": teacher / "dev.csv"}
    return distill(teacher / "run", model=model, output=output, **{**tables, **OPTIONS, **options})


@pytest.fixture(scope="module")
def student(teacher, tmp_path_factory):
    """A student that learnt without the labels, its metrics, and the stored outputs of its teacher."""
    folder = tmp_path_factory.mktemp("student")
    options = {"epochs": 4, "label_weight": 0, "teacher_outputs": folder / "outputs"}
    return folder, run(teacher, folder / "run", **options)


@pytest.mark.long
def test_a_student_learns_from_its_teacher_alone(student, teacher):
    """Files are read like those of the teacher."""
    folder, metrics = student
    assert metrics["accuracy"] == 1.0
    bundle = Bundle.load(folder / "run")
    assert bundle.config.hidden_size == 128
    assert bundle.tokenizer.vocabulary == Bundle.load(teacher / "run").tokenizer.vocabulary
    assert bundle.settings["sequence_length"] == 16
    # The teacher takes single texts, so no column is read as second texts.
    assert bundle.settings["reading"]["columns"] == {"text": "review", "pair": "", "label": "answer"}
    rows = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"soft_loss", "relation_loss"} <= rows[-1].keys()
    assert rows[-1]["soft_loss"] < 0.5 * rows[0]["soft_loss"]
    assert load(folder / "run").predict(["the slow cat sat ."])[0]["label"] == "yes"
    record = json.loads((folder / "run" / "run.json").read_text())
    assert (record["command"], record["options"]["temperature"]) == ("distill", 2.0)


@pytest.mark.long
def test_the_stored_outputs_are_those_of_the_teacher(student, teacher):
    folder, _ = student
    assert sorted(path.name for path in (folder / "outputs").iterdir()) == ["logits.npy", "outputs.json", "qkv.npy"]
    assert np.load(folder / "outputs" / "qkv.npy").shape == (72 * 7, 48)
    stored = np.load(folder / "outputs" / "logits.npy")
    lines = (teacher / "train.csv").read_text().splitlines()[1:]
    answers = load(teacher / "run").answers([line.partition(",")[0] for line in lines])
    exp = np.exp(stored - stored.max(-1, keepdims=True))
    np.testing.assert_allclose(exp / exp.sum(-1, keepdims=True), answers["probabilities"], atol=1e-5)


@pytest.mark.long
def test_outputs_are_computed_once(student, teacher, tmp_path, told):
    folder, _ = student
    run(teacher, tmp_path / "second", teacher_outputs=folder / "outputs", temperature=4)
    assert not any("computing the outputs" in message for message in told())


@pytest.mark.long
def test_texts_without_labels(teacher, tmp_path, told):
    (tmp_path / "more.csv").write_text("review\n" + "".join(f"a {word} cat\na {word} dog\n" for word in WORDS))
    (tmp_path / "lines.txt").write_text("the cat\n\nthe dog\n")
    unlabelled = [tmp_path / "more.csv", tmp_path / "lines.txt"]
    metrics = run(teacher, tmp_path / "run", unlabelled=unlabelled, epochs=4)
    assert any(message.endswith("for 86 rows") for message in told())  # 72 with labels, 12 and 2 without
    assert metrics["accuracy"] == 1.0
    assert not (tmp_path / "run" / "teacher_outputs").exists()


@pytest.mark.slow
def test_resumed_it_ends_as_in_one_go(teacher, tmp_path):
    options = {"checkpoint_every": 4, "log_every": 1}
    run(teacher, tmp_path / "whole", **options)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    checkpoints = tmp_path / "cut" / "checkpoints"
    kept = [path for path in checkpoints.iterdir() if path.name.startswith("step-")]
    assert kept
    (tmp_path / "cut" / "config.json").unlink()
    metrics = run(teacher, tmp_path / "cut", resume=True, **options)
    assert metrics == run_metrics(tmp_path / "whole")
    for name, tensor in Bundle.load(tmp_path / "whole").tensors.items():
        assert Bundle.load(tmp_path / "cut").tensors[name].tobytes() == tensor.tobytes()


def run_metrics(folder):
    _, header = read_arrays(folder / "checkpoints" / "best.safetensors")
    return header["metrics"]


def test_a_student_with_another_vocabulary_is_refused(teacher, tmp_path, pretrained, vocabulary):
    other = tmp_path / "other"
    shutil.copytree(pretrained, other)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (other / name).unlink()
    Vocabulary([*vocabulary.tokens[:-1], "?"]).save(other / "vocab.txt")
    message = r"expected a student with the vocabulary of the teacher\. Received: other entries in .*other; choose a"
    with pytest.raises(UsageError, match=message):
        run(teacher, tmp_path / "run", model=other)
    Vocabulary(vocabulary.tokens[:-1]).save(tmp_path / "vocab.txt")
    with pytest.raises(UsageError, match=r"Received: 22 entries of .*vocab.txt, 23 of .*run; choose a preset"):
        run(teacher, tmp_path / "run", vocab=tmp_path / "vocab.txt")
    assert not (tmp_path / "run").exists()


def test_what_does_not_fit_is_refused(teacher, tmp_path, pretrained):
    output = tmp_path / "run"
    with pytest.raises(UsageError, match=r"expected a teacher that is fine-tuned for a task\. Received: .*pretrained"):
        distill(pretrained, model="tiny", train="t", validation="v", output=output)
    with pytest.raises(UsageError, match=r"relation_heads must divide .*, 16 and 128\. Received: relation_heads=3"):
        run(teacher, output, relation_heads=3)
    with pytest.raises(UsageError, match=r"teacher_layer must be from 1 to 1, the blocks of .*: teacher_layer=2"):
        run(teacher, output, teacher_layer=2)
    with pytest.raises(UsageError, match=r"teacher_outputs must be a folder for .* which holds train\.csv"):
        run(teacher, output, teacher_outputs=_with_a_file(tmp_path / "full"))
    with pytest.raises(UsageError, match="the task classification has no option 'text_colum'"):
        run(teacher, output, text_colum="review")
    with pytest.raises(UsageError, match="expected a run on one machine"):
        run(teacher, output, strategy="multi-worker")
    (tmp_path / "bad.csv").write_text("review,answer\nthe cat,maybe\n")
    with pytest.raises(DataError, match=r"bad.csv:2: .*maybe"):
        run(teacher, output, train=tmp_path / "bad.csv")
    assert not output.exists()


def _with_a_file(folder):
    folder.mkdir()
    (folder / "train.csv").touch()
    return folder


def test_options_contradict_each_other():
    given = {"model": "tiny", "train": "t.csv", "output": "run"}
    with pytest.raises(UsageError, match="expected a loss to minimize: one of logit_weight, relation_weight and"):
        DistillOptions(**given, logit_weight=0, relation_weight=0, label_weight=0)
    with pytest.raises(UsageError, match="unlabelled needs logit_weight or relation_weight above 0"):
        DistillOptions(**given, logit_weight=0, relation_weight=0, unlabelled=["more.txt"])


@pytest.mark.parametrize(("name", "value"), [("adapter", "lora"), ("tokenizer", "mediapipe")])
def test_options_that_a_student_cannot_have(tmp_path, name, value):
    with pytest.raises(UsageError, match=f"^a student trains all .* leave {name} out. Received: {name}='{value}'$"):
        DistillOptions(model="tiny", train="x.csv", output=tmp_path / "run", **{name: value})


def test_texts_without_labels_are_refused_if_they_teach_nothing(tmp_path, make_task_model):
    teacher = make_task_model(tmp_path / "teacher", SemanticRolesTask(["ARG0"]))
    with pytest.raises(UsageError) as error:
        distill(teacher, model="tiny", train="t.jsonl", validation="d.jsonl", unlabelled=["m.txt"], output="run")
    assert str(error.value) == (
        "unlabelled is not for semantic-roles, since its rows for predicates follow from those in the file; leave it "
        "out. Received: unlabelled=['m.txt']"
    )

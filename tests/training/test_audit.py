import json

import numpy as np
import pytest
from click.testing import CliRunner

import kbert
from kbert.cli.main import main
from kbert.errors import UsageError
from kbert.training.audit import audit
from kbert.training.finetune import finetune

WORDS = "the a cat dog sat on mat ran fast slow un .".split()


def rows(seed, count=100):
    """Texts with labels at random: only a model that has seen a text knows its label."""
    rng = np.random.default_rng(seed)
    return [{"text": " ".join(rng.choice(WORDS, 8)), "label": "ny"[rng.integers(2)]} for _ in range(count)]


MEMBERS, OTHERS = rows(1), rows(2)


@pytest.fixture(scope="module")
def base(tmp_path_factory, vocabulary, small_config):
    from kbert.model_folder.bundle import Bundle
    from kbert.models.encoder import BertEncoder
    from kbert.models.pretraining import PretrainingModel
    from kbert.models.tensor_names import pretraining_bindings, read_tensors
    from kbert.text.tokenizer import Tokenizer

    config = small_config.replace(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        initializer_range=0.2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    tensors = read_tensors(pretraining_bindings(PretrainingModel(BertEncoder(config))))
    folder = tmp_path_factory.mktemp("base")
    Bundle(config, Tokenizer(vocabulary), tensors, "BertForPreTraining").save(folder, "# A card\n")
    return folder


def trained(base, output, **options):
    settings = {
        "model": base,
        "train": MEMBERS,
        "validation": OTHERS,
        "learning_rate": 5e-3,
        "head_learning_rate": 5e-3,
        "epochs": 40,
        "evaluate_every": 1000,  # the weights of the last step are kept
        "sequence_length": 16,
        "show_progress": False,
    }
    finetune("classification", output=output, **{**settings, **options})
    return output


@pytest.fixture(scope="module")
def overfitted(tmp_path_factory, base):
    return trained(base, tmp_path_factory.mktemp("overfitted") / "run")


@pytest.fixture(scope="module")
def private(tmp_path_factory, base):
    return trained(base, tmp_path_factory.mktemp("private") / "run", private=1.0, draw_size=50)


def test_an_overfitted_model_is_found(overfitted):
    found = audit(overfitted, members=MEMBERS, non_members=OTHERS)
    assert found["rows"] == 100
    assert found["auc"] > 0.65
    assert found["auc_interval"][0] > 0.55
    assert found["true_positive_rates"]["0.01"] >= 0.0
    assert found["true_positive_rates"]["0.001"] is None
    assert found["member_loss"] < found["non_member_loss"]
    assert found["meaning"].endswith("so the losses tell members from others more often than chance")


def test_a_private_model_is_not(private):
    found = audit(private, members=MEMBERS, non_members=OTHERS)
    assert found["auc_interval"][0] < 0.5 < found["auc_interval"][1]
    assert abs(found["auc"] - 0.5) < 0.1
    assert found["epsilon_lower_bound"] == 0.0
    assert found["meaning"].endswith("so this attack does not tell members from others")


@pytest.mark.long
def test_the_losses_are_those_of_single_rows(overfitted):
    found = audit(overfitted, members=MEMBERS, non_members=OTHERS)
    loaded = kbert.load(overfitted)
    for name, data in (("member_loss", MEMBERS), ("non_member_loss", OTHERS)):
        assert found[name] == pytest.approx(loaded.evaluate(data)["cross_entropy"], rel=1e-4)


@pytest.mark.long
def test_a_reference_removes_what_is_easy_for_any_model(tmp_path, base, overfitted):
    """The members are those rows of which a model without them knows more, too."""
    reference = trained(base, tmp_path / "reference", train=OTHERS, validation=MEMBERS)
    plain = audit(overfitted, members=MEMBERS, non_members=OTHERS)
    calibrated = audit(overfitted, members=MEMBERS, non_members=OTHERS, reference=reference)
    assert calibrated["auc"] > plain["auc"]
    itself = audit(overfitted, members=MEMBERS, non_members=OTHERS, reference=overfitted)
    assert itself["auc"] == 0.5


@pytest.mark.long
def test_equally_many_rows_are_compared(overfitted):
    found = audit(overfitted, members=MEMBERS, non_members=OTHERS[:30])
    assert found["rows"] == 30
    assert audit(overfitted, members=MEMBERS, non_members=OTHERS[:30]) == found
    assert audit(overfitted, members=MEMBERS, non_members=OTHERS[:30], seed=1)["member_loss"] != found["member_loss"]
    assert audit(overfitted, members=MEMBERS, non_members=OTHERS, rows=20)["rows"] == 20
    with pytest.raises(UsageError, match=r"^an audit needs at least 10 rows of each kind\. Received: 9$"):
        audit(overfitted, members=MEMBERS, non_members=OTHERS[:9])


def test_tasks_whose_rows_have_no_losses_are_refused(embedder):
    pairs = [{"text": "the cat", "pair": "a cat"}] * 20
    with pytest.raises(
        UsageError, match=r"^a model for embedding cannot be audited by losses of rows, since its loss "
    ):
        audit(embedder, members=pairs, non_members=pairs)


def test_a_reference_for_another_task_is_refused(overfitted, ranker):
    with pytest.raises(UsageError, match=r"^reference must be a model for classification\. Received: a model for rank"):
        audit(overfitted, members=MEMBERS, non_members=OTHERS, reference=ranker)


@pytest.mark.parametrize("name", ["tagging", "tagging with a CRF", "multiple choice", "question answering"])
@pytest.mark.long
def test_losses_of_other_tasks(tmp_path, make_task_model, name):
    from every_task import TASKS

    data = {
        "tagging": [{"words": ["the", "cat", "sat"], "tags": ["O", "B-P", "O"]}, {"words": ["a"], "tags": ["O"]}],
        "multiple choice": [
            {"prompt": "the cat", "choices": ["sat", "ran on"], "label": 1},
            {"prompt": "a dog", "choices": ["sat", "ran", "mat"], "label": 0},
        ],
        "question answering": [{"question": "the cat", "context": "the cat sat", "answers": "sat"}],
    }[name.removesuffix(" with a CRF")] * 10
    folder = make_task_model(tmp_path / "model", TASKS[name]())
    found = audit(folder, members=data, non_members=data)
    assert found["auc"] == pytest.approx(0.5, abs=0.05)
    assert found["member_loss"] > 0


@pytest.mark.long
def test_the_command_prints_one_sentence(tmp_path, overfitted):
    for name, data in (("train", MEMBERS), ("test", OTHERS)):
        text = "".join(f"{row['text']}\t{row['label']}\n" for row in data)
        (tmp_path / f"{name}.tsv").write_text(f"text\tlabel\n{text}")
    files = ["--members", str(tmp_path / "train.tsv"), "--non-members", str(tmp_path / "test.tsv")]
    result = CliRunner().invoke(main, ["audit", str(overfitted), *files], catch_exceptions=False)
    lines = result.output.splitlines()
    assert lines[0] == "rows of each kind: 100"
    assert lines[2].startswith("AUC: 0.")
    assert lines[4] == "true positives at 0.1% false positives: too few rows"
    assert lines[-1].startswith("of a training row and another one, the training row has the lower loss in ")
    result = CliRunner().invoke(main, ["audit", str(overfitted), *files, "--json"], catch_exceptions=False)
    assert json.loads(result.output) == audit(overfitted, members=MEMBERS, non_members=OTHERS)

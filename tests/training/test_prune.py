import numpy as np
import pytest

from kbert.errors import UsageError
from kbert.model_folder.bundle import Bundle
from kbert.prediction.loading import load
from kbert.training.options import PruneOptions
from kbert.training.prune import prune


@pytest.fixture
def run(classifier, tmp_path):
    """Prunes a classifier of random weights with two blocks and 64 neurons."""
    texts = [f"the {a} {b},{label}\n" for a in ("fast", "slow") for b, label in (("cat", "good"), ("dog", "bad"))] * 4
    path = tmp_path / "train.csv"
    path.write_text("text,label\n" + "".join(texts))

    def start(output, **options):
        defaults = {"batch_size": 8, "epochs": 1, "learning_rate": 1e-3, "show_progress": False}
        return prune(classifier, train=path, validation=path, output=output, **defaults | options)

    return start


@pytest.mark.long
def test_a_smaller_model_comes_out(run, tmp_path, told):
    metrics = run(tmp_path / "pruned", layers=1, intermediate=0.5, rounds=2)
    bundle = Bundle.load(tmp_path / "pruned")
    assert (bundle.config.num_hidden_layers, bundle.config.intermediate_size) == (1, 32)
    assert bundle.tensors["bert.encoder.layer.0.intermediate.dense.weight"].shape == (32, 32)
    assert not (tmp_path / "pruned" / "rounds").exists()
    assert set(metrics) >= {"accuracy"}
    assert load(tmp_path / "pruned").predict(["the cat"])[0]["label"] in ("bad", "fine", "good")
    assert [message for message in told() if message.startswith("round")] == [
        "round 1 of 2: 2 blocks, intermediate size 40",
        "round 2 of 2: 1 blocks, intermediate size 32",
    ]
    # What is done is not repeated.
    again = run(tmp_path / "pruned", layers=1, intermediate=0.5, rounds=2, resume=True)
    assert again == {name: value for name, value in metrics.items() if name != "worst_examples"}
    assert len([message for message in told() if message.startswith("round")]) == 2
    with pytest.raises(UsageError, match=r"pruned was started with intermediate=0\.5\. Received: intermediate=0\.25; "):
        run(tmp_path / "pruned", layers=1, intermediate=0.25, rounds=2, resume=True)


@pytest.mark.long
def test_rounds_that_are_done_are_not_repeated(run, tmp_path, told, monkeypatch):
    """The last round fails; what resumes the command begins with it, and ends as a run in one go."""
    import kbert.training.prune as module

    options = {"intermediate": 0.5, "rounds": 2}
    run(tmp_path / "whole", **options)
    whole = module.distill_from

    def failing(teacher, options, *arguments, **keywords):
        if options.output == tmp_path / "pruned":
            raise UsageError("stopped")
        return whole(teacher, options, *arguments, **keywords)

    monkeypatch.setattr(module, "distill_from", failing)
    with pytest.raises(UsageError, match="stopped"):
        run(tmp_path / "pruned", **options)
    monkeypatch.setattr(module, "distill_from", whole)
    with pytest.raises(UsageError, match="holds a run; add --resume"):
        run(tmp_path / "pruned", **options)
    before = len([message for message in told() if message.startswith("round 1")])
    run(tmp_path / "pruned", resume=True, **options)
    assert len([message for message in told() if message.startswith("round 1")]) == before
    for name, tensor in Bundle.load(tmp_path / "whole").tensors.items():
        np.testing.assert_array_equal(Bundle.load(tmp_path / "pruned").tensors[name], tensor)


def test_what_cannot_be_pruned_is_refused(run, tmp_path, classifier):
    with pytest.raises(UsageError, match=r"^layers must be from 1 to 2, the blocks of .*\. Received: layers=3$"):
        run(tmp_path / "pruned", layers=3)
    with pytest.raises(UsageError, match=r"expected fewer blocks or neurons than those of .*all 2 blocks and all 64"):
        run(tmp_path / "pruned", layers=2)
    with pytest.raises(UsageError, match="pruning makes the student itself; leave model out"):
        run(tmp_path / "pruned", layers=1, model="tiny")
    with pytest.raises(UsageError, match="expected what to keep: layers, intermediate or both"):
        PruneOptions(train="t.csv", output="run")
    for name, value in (("augment", "masked"), ("find_learning_rate", True)):
        with pytest.raises(UsageError, match=f"^{name} is not for pruning; leave it out$"):
            run(tmp_path / "pruned", layers=1, **{name: value})
    assert not (tmp_path / "pruned").exists()


def test_a_width_that_does_not_suit_the_dtype_is_refused_before_the_first_round(
    tmp_path, make_classifier, small_config
):
    narrow = make_classifier(tmp_path / "narrow", config=small_config.replace(hidden_size=16))
    with pytest.raises(UsageError, match=r"needs a model whose hidden size is a multiple of 32\. Received: hidden "):
        prune(narrow, layers=1, quantize_aware="int4", train="t.csv", validation="d.csv", output=tmp_path / "pruned")
    assert not (tmp_path / "pruned").exists()


@pytest.mark.peers
def test_transformers_opens_the_pruned_model(run, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    run(tmp_path / "pruned", layers=1, intermediate=0.25, rounds=1)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "pruned")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "pruned")
    with torch.no_grad():
        theirs = model(**tokenizer("the slow cat", return_tensors="pt")).logits.softmax(-1).numpy()
    ours = load(tmp_path / "pruned").answers(["the slow cat"])["probabilities"]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)

import json

import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.model_folder.bundle import Bundle


def run(*arguments):
    return CliRunner().invoke(main, ["fill-mask", *map(str, arguments)])


@pytest.fixture(scope="module")
def expected(pretrained):
    """Probabilities of all pieces at both masks of "the [MASK] sat [MASK]", by the model itself."""
    import keras
    import numpy as np

    from kbert.pretrained.loading import load_model

    ids = np.array([[2, 5, 4, 9, 4, 3]], np.int32)
    batch = {"input_word_ids": ids, "input_mask": ids**0, "input_type_ids": ids * 0}
    logits = load_model(pretrained)({**batch, "masked_lm_positions": np.array([[2, 4]], np.int32)})["mlm_logits"]
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))[0]


def test_the_likeliest_pieces(pretrained, vocabulary, expected):
    done = run(pretrained, "the [MASK] sat [MASK]", "a [MASK]", "--top", 3, "--json")
    assert done.exit_code == 0, done.output
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["text"] == "the [MASK] sat [MASK]"
    for found, probabilities in zip(first["masks"], expected, strict=True):
        best = probabilities.argsort()[::-1][:3]
        assert list(found) == [vocabulary[index] for index in best]
        assert list(found.values()) == pytest.approx(probabilities[best].tolist(), abs=1e-5)
    assert len(second["masks"]) == 1


@pytest.mark.slow
def test_a_table_for_people(pretrained, vocabulary, expected):
    lines = run(pretrained, "the [MASK] sat [MASK]", "--top", 1).stdout.splitlines()
    best = [(probabilities.max(), vocabulary[probabilities.argmax()]) for probabilities in expected]
    assert lines == [
        "the [MASK] sat [MASK]",
        "  mask 1",
        f"  {best[0][0]:7.4f}  {best[0][1]}",
        "  mask 2",
        f"  {best[1][0]:7.4f}  {best[1][1]}",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the cat", "expected [MASK] in each text. Received: the cat"),
        ("the " * 40 + "[MASK]", "whose [MASK] is cut off: the the"),
    ],
)
def test_texts_that_cannot_be(pretrained, text, message):
    refused = run(pretrained, text)
    assert refused.exit_code == 2
    assert message in refused.stderr


def test_another_kind_of_model(classifier):
    refused = run(classifier, "the [MASK]")
    assert refused.exit_code == 2
    assert "must be a pretrained model" in refused.stderr
    assert f"`kbert pretrain --model {classifier}`" in refused.stderr


def test_an_encoder_without_the_head(pretrained, tmp_path):
    bundle = Bundle.load(pretrained)
    bundle.tensors = {name: tensor for name, tensor in bundle.tensors.items() if name.startswith("bert.")}
    bundle.architecture, bundle.settings = "BertModel", {}
    bundle.save(tmp_path / "encoder", "card")
    refused = run(tmp_path / "encoder", "the [MASK]")
    assert refused.exit_code == 2
    assert refused.stderr == (
        f"Error: {tmp_path}/encoder has no masked-language-model head; `kbert pretrain --model {tmp_path}/encoder` "
        "trains one\n"
    )

import json

import numpy as np
import pytest
from click.testing import CliRunner

from kbert.cli.main import main
from kbert.prediction.joint_masks import _filled, fill_jointly
from kbert.prediction.loading import load
from kbert.pretrained.loading import load_model

TEXT = "the [MASK] sat on [MASK] [MASK] ."


@pytest.fixture(scope="module")
def expected(pretrained):
    """The pieces by the model itself: the most certain mask is filled, then the next, given the pieces before."""
    model = load_model(pretrained)
    ids, open_, order, chances = [2, 5, 4, 9, 10, 4, 4, 20, 3], [2, 5, 6], [], {}
    while open_:
        batch = {"input_word_ids": np.array([ids], np.int32), "input_mask": np.ones((1, 9), np.int32)}
        batch |= {"input_type_ids": np.zeros((1, 9), np.int32), "masked_lm_positions": np.array([open_], np.int32)}
        logits = np.array(model(batch)["mlm_logits"])[0, :, 5:]  # without special tokens
        shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        place = int(shares.max(-1).argmax())
        ids[open_[place]] = 5 + int(shares[place].argmax())
        chances[open_[place]] = shares[place].max()
        order.append([2, 5, 6].index(open_.pop(place)) + 1)
    return ids, order, [chances[place] for place in (2, 5, 6)]


def test_the_most_certain_mask_is_filled_first(pretrained, vocabulary, expected):
    ids, order, chances = expected
    model = load(pretrained)
    first, second, third = fill_jointly(model, [TEXT, "a cat", "a [MASK]"], batch_size=2)
    assert first["order"] == order
    pieces = [next(iter(mask)) for mask in first["masks"]]
    assert pieces == [vocabulary[ids[place]] for place in (2, 5, 6)]
    assert [next(iter(mask.values())) for mask in first["masks"]] == pytest.approx(chances, abs=1e-5)
    assert second == {"text": "a cat", "filled": "a cat", "order": [], "masks": []}
    (mask,) = third["masks"]
    assert len(mask) == 10
    assert not {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} & mask.keys()


def test_pieces_of_a_word_are_joined():
    assert _filled("an [MASK] [MASK] cat[MASK]", ["un", "##able", "##s"]) == "an unable cats"
    assert _filled("a [MASK] and [MASK]", ["cat"]) == "a cat and [MASK]"


def test_the_command(pretrained, expected):
    done = CliRunner().invoke(main, ["fill-mask", str(pretrained), TEXT, "--joint", "--top", "2", "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert list(answer) == ["text", "filled", "order", "masks"]
    assert answer["order"] == expected[1]
    assert [len(mask) for mask in answer["masks"]] == [2, 2, 2]
